#include "cli/machine.h"

#include "base/control_group.h"
#include "base/cpu.h"
#include "base/memory.h"

#include <sched.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <span>
#include <sstream>
#include <thread>
#include <vector>

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

int count_nodes() {
  int nodes = 0;
  std::error_code failed;
  for (const fs::directory_entry& e : fs::directory_iterator("/sys/devices/system/node", failed)) {
    const std::string name = e.path().filename();
    if (name.starts_with("node") && name.size() > 4 &&
        name.find_first_not_of("0123456789", 4) == std::string::npos)
      ++nodes;
  }
  return std::max(nodes, 1);
}

int allowed_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

std::string huge_pages() {  // "always [madvise] never": the chosen one is in brackets
  const std::string line = first_line("/sys/kernel/mm/transparent_hugepage/enabled");
  const std::size_t open = line.find('['), close = line.find(']');
  return open == std::string::npos || close == std::string::npos ? "unknown"
                                                                 : line.substr(open + 1, close - open - 1);
}

// Four independent sums, so that additions do not limit the loads.
std::uint64_t read_all(std::span<const std::uint64_t> words) {
  std::uint64_t a = 0, b = 0, c = 0, d = 0;
  for (std::size_t i = 0; i + 4 <= words.size(); i += 4) {
    a += words[i];
    b += words[i + 1];
    c += words[i + 2];
    d += words[i + 3];
  }
  return a + b + c + d;
}

// Runs work(thread) on so many threads and returns the seconds until the last one is done.
template <class Work>
double timed(int threads, const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::thread> team;
  for (int t = 1; t < threads; ++t) team.emplace_back(work, t);
  work(0);
  for (std::thread& t : team) t.join();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

Machine describe_machine() {
  Machine m;
  m.cpu = field("/proc/cpuinfo", "model name");
  if (m.cpu.empty()) m.cpu = "unknown";
  m.physical_cores = physical_cores();
  m.logical_cpus = allowed_cpus();
  m.numa_nodes = count_nodes();
  m.memory = kilobytes(field("/proc/meminfo", "MemTotal"));
  m.memory_free = kilobytes(field("/proc/meminfo", "MemAvailable"));
  m.memory_limit = group_memory_limit();
  m.cpu_limit = group_cpu_limit();
  m.huge_pages = huge_pages();
  return m;
}

double measure_read_bandwidth(int threads) {
  constexpr std::size_t bytes = std::size_t{256} << 20;
  constexpr int passes = 5;
  if (available_memory() < 4 * bytes) return 0;
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 0;
  madvise(memory, bytes, MADV_HUGEPAGE);

  const std::size_t share = bytes / sizeof(std::uint64_t) / static_cast<std::size_t>(threads);
  const auto part = [&](int t) {
    return std::span(static_cast<std::uint64_t*>(memory) + share * static_cast<std::size_t>(t), share);
  };
  timed(threads, [&](int t) {
    std::ranges::fill(part(t), static_cast<std::uint64_t>(t));
  });  // pages come from its node
  std::vector<std::uint64_t> sums(static_cast<std::size_t>(threads));
  double best = 1e9;
  for (int pass = 0; pass < passes; ++pass)
    best = std::min(best,
                    timed(threads, [&](int t) { sums[static_cast<std::size_t>(t)] += read_all(part(t)); }));
  munmap(memory, bytes);
  // The sums are used, so that the loops cannot be left out.
  return sums[0] == 1 ? 0 : static_cast<double>(share * sizeof(std::uint64_t)) * threads / best;
}

}  // namespace coterie::cli
