// Facts about this machine, read from the system.
#pragma once

#include "base/nodes.h"
#include "tensor/buffer.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace coterie::cli {

struct Machine {
  std::string cpu;                           // model name
  int physical_cores = 0, logical_cpus = 0;  // that this process may use
  std::vector<MemoryNode> nodes;
  std::uint64_t memory = 0, memory_free = 0;  // bytes; free: what could be had without swapping
  std::optional<std::uint64_t> memory_limit;  // of the control group, where there is one
  std::optional<double> cpu_limit;            // likewise, in CPUs
  std::string huge_pages;                     // transparent huge pages: "always", "madvise", "never"
  ReservedHugePages reserved{};
};

Machine describe_machine();

// Since this program was started, its loading by the system included; to a hundredth.
double seconds_since_start();

}  // namespace coterie::cli
