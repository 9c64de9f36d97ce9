// What the control groups of this process grant (cgroup version 2): its own and those around it, since each of them binds.
#pragma once

#include <cstdint>
#include <optional>

namespace coterie {

std::optional<std::uint64_t> group_memory_limit();  // bytes; nothing: no limit
std::optional<std::uint64_t> group_memory_left();   // of the tightest group, what is not taken yet
std::optional<double> group_cpu_limit();            // in CPUs; nothing: no limit

}  // namespace coterie
