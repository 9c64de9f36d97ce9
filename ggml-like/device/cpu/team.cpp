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
  std::vector<int> node_of_ticket;
  for (int node = 0; node < this->nodes(); ++node) {
    while (static_cast<int>(own_.size()) < threads_ && node_of(static_cast<int>(own_.size())) == node) {
      own_.push_back(static_cast<int>(node_of_ticket.size()));
      node_of_ticket.push_back(node);
    }
    if (static_cast<int>(node_of_ticket.size()) == first_.back()) node_of_ticket.push_back(node);
    first_.push_back(static_cast<int>(node_of_ticket.size()));
  }
  tickets_ = std::vector<Ticket>(node_of_ticket.size());
  for (std::size_t t = 0; t < tickets_.size(); ++t) tickets_[t].node = node_of_ticket[t];
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
  std::size_t t = 0;
  for (std::size_t node = 0; node < nodes_.size(); ++node) {
    const std::int64_t n = size(static_cast<int>(node));
    const int first = first_[node];
    const int n_tickets = first_[node + 1] - first;
    n_tasks += static_cast<int>(n);
    int begin = 0;
    for (int k = 1; k <= n_tickets; ++k, ++t) {
      tickets_[t].end = static_cast<int>(n * k / n_tickets);
      tickets_[t].left.store(std::uint64_t{list} << 32 | static_cast<std::uint32_t>(tickets_[t].end - begin),
                             std::memory_order_release);
      begin = tickets_[t].end;
    }
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
    for (int t = start; t < end; ++t)
      if (claim_and_run(tickets_[static_cast<std::size_t>(t)], worker)) return true;
    for (int t = begin; t < start; ++t)
      if (claim_and_run(tickets_[static_cast<std::size_t>(t)], worker)) return true;
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
