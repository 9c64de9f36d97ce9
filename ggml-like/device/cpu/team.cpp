#include "device/cpu/team.h"

#include <omp.h>
#include <sched.h>

#include <algorithm>
#include <exception>

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

}  // namespace

Team::Team(int threads) : threads_(std::max(1, threads)) {}

void Team::step(FunctionRef<void()> body) {
  if (threads_ == 1) return body();
  std::exception_ptr thrown;
  stop_.store(false, std::memory_order_relaxed);
  inside_step_ = true;
#pragma omp parallel num_threads(threads_)
  {
    const int worker = omp_get_thread_num();
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
  task_ = &task;
  n_tasks_ = n_tasks;
  finished_.store(0, std::memory_order_relaxed);
  const std::uint64_t list = (ticket_.load(std::memory_order_relaxed) >> 32) + 1;
  ticket_.store(list << 32 | static_cast<std::uint32_t>(n_tasks), std::memory_order_release);
  while (claim_and_run(0)) {
  }
  Patience patience;
  while (finished_.load(std::memory_order_acquire) != n_tasks) patience.wait();
}

void Team::stand_by(int worker) {
  Patience patience;
  while (!stop_.load(std::memory_order_acquire)) {
    if (claim_and_run(worker))
      patience = {};
    else
      patience.wait();
  }
}

bool Team::claim_and_run(int worker) {
  std::uint64_t ticket = ticket_.load(std::memory_order_acquire);
  do {
    if (static_cast<std::uint32_t>(ticket) == 0) return false;
  } while (!ticket_.compare_exchange_weak(ticket, ticket - 1, std::memory_order_acq_rel,
                                          std::memory_order_acquire));
  (*task_)(n_tasks_ - static_cast<int>(static_cast<std::uint32_t>(ticket)), worker);
  finished_.fetch_add(1, std::memory_order_release);
  return true;
}

}  // namespace coterie
