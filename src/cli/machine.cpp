#include "cli/machine.h"

#include "base/control_group.h"
#include "base/cpu.h"
#include "bench/probe.h"

#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace coterie::cli {

namespace fs = std::filesystem;

namespace {

// The text after "key   :" in a file like /proc/cpuinfo; empty: absent.
std::string field(const std::string& path, const std::string& key) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(key)) {
      const std::size_t colon = line.find(':');
      if (colon == std::string::npos) continue;
      const std::size_t text = line.find_first_not_of(" \t", colon + 1);
      return text == std::string::npos ? "" : line.substr(text);
    }
  return "";
}

std::uint64_t kilobytes(const std::string& text) {
  std::istringstream in(text);
  std::uint64_t n = 0;
  return in >> n ? n * 1024 : 0;
}

std::string first_line(const fs::path& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

std::string huge_pages() {  // "always [madvise] never": the chosen one is in brackets
  const std::string line = first_line("/sys/kernel/mm/transparent_hugepage/enabled");
  const std::size_t open = line.find('['), close = line.find(']');
  return open == std::string::npos || close == std::string::npos ? "unknown"
                                                                 : line.substr(open + 1, close - open - 1);
}

}  // namespace

Machine describe_machine() {
  Machine m;
  m.cpu = field("/proc/cpuinfo", "model name");
  if (m.cpu.empty()) m.cpu = "unknown";
  m.physical_cores = physical_cores();
  m.logical_cpus = bench::cpus_allowed();
  m.nodes = memory_nodes();
  m.memory = kilobytes(field("/proc/meminfo", "MemTotal"));
  m.memory_free = kilobytes(field("/proc/meminfo", "MemAvailable"));
  m.memory_limit = group_memory_limit();
  m.cpu_limit = group_cpu_limit();
  m.huge_pages = huge_pages();
  m.reserved = reserved_huge_pages();
  return m;
}

double seconds_since_start() {
  const std::string line = first_line("/proc/self/stat");
  std::istringstream in(line.substr(line.rfind(')') + 1));  // the name before may hold anything
  std::string skipped;
  for (int field = 3; field < 22; ++field) in >> skipped;
  double ticks = 0;  // from the start of the system
  timespec now{};
  if (!(in >> ticks) || clock_gettime(CLOCK_BOOTTIME, &now) != 0) return 0;
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec) -
         ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace coterie::cli
