// The memory nodes of this machine: sockets, or parts of one, that have memory and CPUs of their own.
#pragma once

#include <sched.h>

#include <cstddef>
#include <vector>

namespace coterie {

struct MemoryNode {
  int id;          // of the system
  cpu_set_t cpus;  // those that this process may use; at least one
};

// Nodes with a CPU for this process, in the order of their numbers; at least one. COTERIE_NODES=N deals the CPUs out to
// N nodes instead, to see what a program makes of them on a machine that has one.
std::vector<MemoryNode> memory_nodes();

// Lets the calling thread run on these CPUs only. A refusal changes nothing: placement is about speed.
void run_on(const cpu_set_t& cpus);
cpu_set_t allowed_cpus();  // of the calling thread

}  // namespace coterie
