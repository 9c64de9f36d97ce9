#include "base/memory.h"

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

// What the control group (version 2) still grants. Page cache counted as used is given back under pressure,
// so only the anonymous part matters; memory.current alone would refuse a model whose file is cached.
std::uint64_t group_available() {
  std::ifstream limit_in("/sys/fs/cgroup/memory.max");
  std::uint64_t limit = 0;
  if (!(limit_in >> limit)) return unlimited;  // "max", or no such file
  std::ifstream stat("/sys/fs/cgroup/memory.stat");
  std::string name;
  std::uint64_t value = 0;
  std::uint64_t anonymous = 0;
  while (stat >> name >> value)
    if (name == "anon") anonymous = value;
  return limit - std::min(limit, anonymous);
}

}  // namespace

std::uint64_t available_memory() { return std::min(system_available(), group_available()); }

void require_memory(std::uint64_t bytes, const std::string& what) {
  const std::uint64_t available = available_memory();
  if (bytes > available)
    throw MemoryError(what + ": needs " + std::to_string(bytes >> 20) + " MiB, " +
                      std::to_string(available >> 20) + " MiB available");
}

}  // namespace coterie
