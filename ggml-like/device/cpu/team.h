// The threads of one step: a single OpenMP region per step, work handed out inside it in small pieces.
//
// One thread walks through the step; the others stand by. run() publishes a list of tasks, everybody claims
// them one at a time, and run() returns when every task is finished. Completion counts tasks, not threads: a
// thread that the system has taken off its core delays nobody unless it holds a task. Waiting threads spin
// briefly, then yield.
//
// Where the machine has several memory nodes, workers are dealt out over them and run on their CPUs only. Every
// list falls into one slice per node, in order, so that the same rows of a matrix belong to the same node in
// every step. A node's tasks fall into one slice per worker: its next task is mostly what comes next in memory,
// so that what was read ahead is not read in vain. Who has finished helps, on its own node first.
//
// No task splits a sum, so results depend neither on the number of threads nor on the nodes.
#pragma once

#include "base/function_ref.h"
#include "base/nodes.h"

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

namespace coterie {

class Team {
 public:
  explicit Team(int threads) : Team(threads, memory_nodes()) {}  // at least 1
  Team(int threads, std::vector<MemoryNode> nodes);
  int threads() const { return threads_; }
  int nodes() const { return static_cast<int>(nodes_.size()); }
  int node_of(int worker) const { return worker * nodes() / threads_; }
  // First of n tasks, or rows, that belong to a node; node = nodes(): n.
  std::int64_t slice(std::int64_t n, int node) const { return n * node / nodes(); }

  // Calls body once, on the calling thread; run() inside it uses the whole team. Exceptions of body pass
  // through.
  void step(FunctionRef<void()> body);
  // task(i, worker) for every i in [0, n_tasks), worker in [0, threads()); must not throw. Outside step(): in
  // order, on the calling thread.
  void run(int n_tasks, FunctionRef<void(int task, int worker)> task);
  // Several lists as one, list l of counts[l] tasks, each with a slice per node: task(l, i, worker).
  void run_lists(std::span<const int> counts, FunctionRef<void(int list, int task, int worker)> task);

  // How often the team has met: the lists so far that were more than one task.
  std::int64_t barriers() const { return barriers_; }

 private:
  using Task = FunctionRef<void(int node, int task, int worker)>;
  // A worker's slice. High half: number of the list, so that a late thread cannot mistake a new list for the old
  // one. Low half: tasks not yet claimed.
  struct alignas(64) Ticket {
    std::atomic<std::uint64_t> left{0};
    int node = 0;  // this and the next: written as task_
    int end = 0;   // of the slice, among its node's tasks
  };

  // task(node, i, worker) for every i below size(node).
  void publish(FunctionRef<int(int node)> size, Task task);
  void stand_by(int worker);
  bool claim_and_run(int worker);
  bool claim_and_run(Ticket& ticket, int worker);

  int threads_;
  std::vector<MemoryNode> nodes_;
  bool inside_step_ = false;
  std::int64_t barriers_ = 0;
  // Written by the publishing thread only while no task is outstanding; read only by the holder of a claimed
  // task.
  const Task* task_ = nullptr;
  std::vector<Ticket> tickets_;  // node by node: one per worker, at least one
  std::vector<int> first_;       // ticket of a node; of nodes(): their number
  std::vector<int> own_;         // ticket of a worker
  // The newest list: workers that find nothing left wait for the next.
  alignas(64) std::atomic<std::uint32_t> list_{0};
  alignas(64) std::atomic<int> finished_{0};
  alignas(64) std::atomic<bool> stop_{false};
};

}  // namespace coterie
