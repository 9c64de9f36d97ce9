// Facts about this machine, read from the system.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace coterie::cli {

struct Machine {
  std::string cpu;                           // model name
  int physical_cores = 0, logical_cpus = 0;  // that this process may use
  int numa_nodes = 0;
  std::uint64_t memory = 0, memory_free = 0;  // bytes; free: what could be had without swapping
  std::optional<std::uint64_t> memory_limit;  // of the control group, where there is one
  std::optional<double> cpu_limit;            // likewise, in CPUs
  std::string huge_pages;                     // transparent huge pages: "always", "madvise", "never"
};

Machine describe_machine();

}  // namespace coterie::cli
