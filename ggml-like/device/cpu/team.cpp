#include "device/cpu/team.h"

#include <omp.h>
#include <sched.h>

#include <algorithm>
#include <exception>
#include <numeric>
#include <optional>
#include <utility>

namespace coterie {

namespace {

// Spins for some microseconds, then gives the core away at every look: with a busy neighbour on the machine a
// spinning thread would keep the very thread it waits for from running.
class Patience {
 public:
  void wait() {
    if (++looks_ < 4096) {
      relax();
    } else {
      sched_yield();
    }
  }

 private:
  static void relax() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }
  int looks_ = 0;
};

// While it lives, the thread stays on its node.
class Stay {
 public:
  explicit Stay(const MemoryNode& node) : before_(allowed_cpus()) { run_on(node.cpus); }
  ~Stay() { run_on(before_); }
  Stay(const Stay&) = delete;
  Stay& operator=(const Stay&) = delete;

 private:
  cpu_set_t before_;
};

}  // namespace

Team::Team(int threads, std::vector<MemoryNode> nodes)
    : threads_(std::max(1, threads)), nodes_(std::move(nodes)), first_{0} {
  int worker = 0;
  for (int node = 0; node < this->nodes(); ++node) {
    int n = 0;
    for (; worker < threads_ && node_of(worker) == node; ++worker) own_.push_back(first_.back() + n++);
    first_.push_back(first_.back() + std::max(1, n));
  }
  tickets_ = std::vector<Ticket>(static_cast<std::size_t>(first_.back()));
}

void Team::step(FunctionRef<void()> body) {
  if (threads_ == 1) return body();
  std::exception_ptr thrown;
  stop_.store(false, std::memory_order_relaxed);
  inside_step_ = true;
#pragma omp parallel num_threads(threads_)
  {
    const int worker = omp_get_thread_num();
    std::optional<Stay> stay;
    if (nodes() > 1) stay.emplace(nodes_[static_cast<std::size_t>(node_of(worker))]);
    if (worker == 0) {
      try {
        body();
      } catch (...) {
        thrown = std::current_exception();
      }
      stop_.store(true, std::memory_order_release);
    } else {
      stand_by(worker);
    }
  }
  inside_step_ = false;
  if (thrown) std::rethrow_exception(thrown);
}

void Team::run(int n_tasks, FunctionRef<void(int task, int worker)> task) {
  if (!inside_step_ || n_tasks <= 1) {
    for (int i = 0; i < n_tasks; ++i) task(i, 0);
    return;
  }
  const auto first = [&](int node) { return static_cast<int>(slice(n_tasks, node)); };
  publish([&](int node) { return first(node + 1) - first(node); },
          [&](int node, int i, int worker) { task(first(node) + i, worker); });
}

void Team::run_lists(std::span<const int> counts, FunctionRef<void(int list, int task, int worker)> task) {
  if (!inside_step_ || std::accumulate(counts.begin(), counts.end(), 0) <= 1) {
    for (int list = 0; list < static_cast<int>(counts.size()); ++list)
      for (int i = 0; i < counts[static_cast<std::size_t>(list)]; ++i) task(list, i, 0);
    return;
  }
  const auto first = [&](int list, int node) {
    return static_cast<int>(slice(counts[static_cast<std::size_t>(list)], node));
  };
  const auto size = [&](int list, int node) { return first(list, node + 1) - first(list, node); };
  publish(
      [&](int node) {
        int n = 0;
        for (int list = 0; list < static_cast<int>(counts.size()); ++list) n += size(list, node);
        return n;
      },
      [&](int node, int i, int worker) {
        int list = 0;
        for (int n; i >= (n = size(list, node)); ++list) i -= n;
        task(list, first(list, node) + i, worker);
      });
}

void Team::publish(FunctionRef<int(int node)> size, Task task) {
  ++barriers_;
  task_ = &task;
  finished_.store(0, std::memory_order_relaxed);
  const std::uint32_t list = list_.load(std::memory_order_relaxed) + 1;
  int n_tasks = 0;
  for (int node = 0; node < nodes(); ++node) {
    const std::int64_t n = size(node);
    const int first = first_[static_cast<std::size_t>(node)];
    const int count = first_[static_cast<std::size_t>(node) + 1] - first;
    int begin = 0;
    for (int k = 0; k < count; ++k) {
      Ticket& t = tickets_[static_cast<std::size_t>(first + k)];
      t.node = node;
      t.end = static_cast<int>(n * (k + 1) / count);
      t.left.store(std::uint64_t{list} << 32 | static_cast<std::uint32_t>(t.end - begin),
                   std::memory_order_release);
      begin = t.end;
    }
    n_tasks += begin;
  }
  list_.store(list, std::memory_order_release);
  while (claim_and_run(0)) {
  }
  Patience patience;
  while (finished_.load(std::memory_order_acquire) != n_tasks) patience.wait();
}

void Team::stand_by(int worker) {
  Patience patience;
  std::uint32_t seen = 0;
  while (!stop_.load(std::memory_order_acquire)) {
    const std::uint32_t list = list_.load(std::memory_order_acquire);
    if (list == seen) {
      patience.wait();
      continue;
    }
    while (claim_and_run(worker)) {
    }
    seen = list;
    patience = {};
  }
}

// Its own slice, then those of its node, then the others.
bool Team::claim_and_run(int worker) {
  const auto among = [&](int begin, int end, int start) {
    for (int k = 0; k < end - begin; ++k) {
      const int t = begin + (start - begin + k) % (end - begin);
      if (claim_and_run(tickets_[static_cast<std::size_t>(t)], worker)) return true;
    }
    return false;
  };
  const auto node = static_cast<std::size_t>(node_of(worker));
  return among(first_[node], first_[node + 1], own_[static_cast<std::size_t>(worker)]) ||
         (nodes() > 1 && among(0, first_.back(), first_[node + 1]));
}

bool Team::claim_and_run(Ticket& t, int worker) {
  std::uint64_t left = t.left.load(std::memory_order_acquire);
  do {
    if (static_cast<std::uint32_t>(left) == 0) return false;
  } while (
      !t.left.compare_exchange_weak(left, left - 1, std::memory_order_acq_rel, std::memory_order_acquire));
  (*task_)(t.node, t.end - static_cast<int>(static_cast<std::uint32_t>(left)), worker);
  finished_.fetch_add(1, std::memory_order_release);
  return true;
}

}  // namespace coterie
