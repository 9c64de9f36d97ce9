// How much memory this process may still take.
#pragma once

#include <cstdint>
#include <string>

namespace coterie {

// Bytes that can be had without swapping: the system's estimate, or what is left of the control group's limit
// if less.
std::uint64_t available_memory();
// Throws MemoryError "what: needs X MiB, Y MiB available" where it does not fit.
void require_memory(std::uint64_t bytes, const std::string& what);

}  // namespace coterie
