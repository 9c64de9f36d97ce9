#include "base/control_group.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace coterie {

namespace fs = std::filesystem;

namespace {

std::vector<fs::path> control_groups() {
  const fs::path root = "/sys/fs/cgroup";
  std::vector<fs::path> groups{root};
  std::ifstream in("/proc/self/cgroup");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("0::/"))
      for (fs::path p = line.substr(4); !p.empty(); p = p.parent_path()) groups.push_back(root / p);
  return groups;
}

std::optional<std::uint64_t> memory_limit(const fs::path& group) {
  std::ifstream in(group / "memory.max");  // a number or "max"
  std::uint64_t bytes = 0;
  if (in >> bytes) return bytes;
  return std::nullopt;
}

// Page cache counted as used is given back under pressure, so only the anonymous part matters; memory.current would
// refuse a model whose file is cached.
std::uint64_t anonymous_memory(const fs::path& group) {
  std::ifstream in(group / "memory.stat");
  std::string name;
  std::uint64_t value = 0;
  while (in >> name >> value)
    if (name == "anon") return value;
  return 0;
}

template <class T>
void keep_least(std::optional<T>& least, T value) {
  least = std::min(value, least.value_or(value));
}

}  // namespace

std::optional<std::uint64_t> group_memory_limit() {
  std::optional<std::uint64_t> least;
  for (const fs::path& group : control_groups())
    if (const auto limit = memory_limit(group)) keep_least(least, *limit);
  return least;
}

std::optional<std::uint64_t> group_memory_left() {
  std::optional<std::uint64_t> least;
  for (const fs::path& group : control_groups())
    if (const auto limit = memory_limit(group))
      keep_least(least, *limit - std::min(*limit, anonymous_memory(group)));
  return least;
}

std::optional<double> group_cpu_limit() {
  std::optional<double> least;
  for (const fs::path& group : control_groups()) {
    std::ifstream in(group / "cpu.max");  // "quota period" or "max period"
    double quota = 0;
    double period = 0;
    if (in >> quota >> period && period > 0) keep_least(least, quota / period);
  }
  return least;
}

}  // namespace coterie
