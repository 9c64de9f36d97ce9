#include "base/memory.h"

#include "base/control_group.h"
#include "base/errors.h"

#include <algorithm>
#include <fstream>
#include <limits>

namespace coterie {

namespace {

constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();

// MemAvailable of /proc/meminfo, in bytes.
std::uint64_t system_available() {
  std::ifstream in("/proc/meminfo");
  std::string name;
  std::uint64_t kib = 0;
  std::string unit;
  while (in >> name >> kib) {
    std::getline(in, unit);
    if (name == "MemAvailable:") return kib << 10;
  }
  return unlimited;
}

}  // namespace

std::uint64_t available_memory() {
  return std::min(system_available(), group_memory_left().value_or(unlimited));
}

void require_memory(std::uint64_t bytes, const std::string& what) {
  const std::uint64_t available = available_memory();
  if (bytes > available)
    throw MemoryError(what + ": needs " + std::to_string(bytes >> 20) + " MiB, " +
                      std::to_string(available >> 20) + " MiB available");
}

}  // namespace coterie
