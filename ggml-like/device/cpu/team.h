// The threads of one step: a single OpenMP region per step, work handed out inside it in small pieces.
//
// One thread walks through the step; the others stand by. run() publishes a list of tasks, everybody claims
// them one at a time, and run() returns when every task is finished. Completion counts tasks, not threads: a
// thread that the system has taken off its core delays nobody unless it holds a task. Waiting threads spin
// briefly, then yield.
//
// No task splits a sum, so results do not depend on the number of threads.
#pragma once

#include "base/function_ref.h"

#include <atomic>
#include <cstdint>

namespace coterie {

class Team {
 public:
  explicit Team(int threads);  // at least 1
  int threads() const { return threads_; }

  // Calls body once, on the calling thread; run() inside it uses the whole team. Exceptions of body pass
  // through.
  void step(FunctionRef<void()> body);
  // task(i, worker) for every i in [0, n_tasks), worker in [0, threads()); must not throw. Outside step(): in
  // order, on the calling thread.
  void run(int n_tasks, FunctionRef<void(int task, int worker)> task);

 private:
  using Task = FunctionRef<void(int, int)>;
  void stand_by(int worker);
  bool claim_and_run(int worker);

  int threads_;
  bool inside_step_ = false;
  // Written by the publishing thread only while no task is outstanding; read only by the holder of a claimed
  // task.
  const Task* task_ = nullptr;
  int n_tasks_ = 0;
  // High half: number of the list, so that a late thread cannot mistake a new list for the old one. Low half:
  // tasks not yet claimed.
  alignas(64) std::atomic<std::uint64_t> ticket_{0};
  alignas(64) std::atomic<int> finished_{0};
  alignas(64) std::atomic<bool> stop_{false};
};

}  // namespace coterie
