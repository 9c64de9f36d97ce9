#include "bench/probe.h"

#include "base/memory.h"

#include <sched.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <thread>

namespace coterie::bench {

namespace fs = std::filesystem;

namespace {

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

double seconds_of(const auto& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Runs work(thread) on so many threads, on the CPUs of the set where there is one; seconds until the last one is done.
template <class Work>
double timed(int threads, const cpu_set_t* cpus, const Work& work) {
  const auto pinned = [&](int t) {
    if (cpus != nullptr) sched_setaffinity(0, sizeof *cpus, cpus);
    work(t);
  };
  return seconds_of([&] {
    std::vector<std::thread> team;
    for (int t = cpus == nullptr ? 1 : 0; t < threads; ++t) team.emplace_back(pinned, t);
    if (cpus == nullptr) work(0);  // the caller keeps its affinity
    for (std::thread& t : team) t.join();
  });
}

double read_bandwidth(int threads, const cpu_set_t* cpus) {
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
  timed(threads, cpus, [&](int t) {
    std::ranges::fill(part(t), static_cast<std::uint64_t>(t));
  });  // pages come from its node
  std::vector<std::uint64_t> sums(static_cast<std::size_t>(threads));
  double best = 1e9;
  for (int pass = 0; pass < passes; ++pass)
    best = std::min(
        best, timed(threads, cpus, [&](int t) { sums[static_cast<std::size_t>(t)] += read_all(part(t)); }));
  munmap(memory, bytes);
  // The sums are used, so that the loops cannot be left out.
  return sums[0] == 1 ? 0 : static_cast<double>(share * sizeof(std::uint64_t)) * threads / best;
}

double burst(std::int64_t (*work)(std::int64_t), int threads) {
  constexpr double wanted = 0.02;  // seconds
  std::int64_t rounds = 1024;
  while (seconds_of([&] { work(rounds); }) < wanted) rounds *= 2;
  double best = 0;
  for (int pass = 0; pass < 5; ++pass) {
    const double seconds = timed(threads, nullptr, [&](int) { work(rounds); });
    best = std::max(best, static_cast<double>(work(1)) * static_cast<double>(rounds) * threads / seconds);
  }
  return best;
}

// "0-3,8": what /sys says of a node's CPUs.
cpu_set_t cpus_of_node(int node) {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::ifstream in("/sys/devices/system/node/node" + std::to_string(node) + "/cpulist");
  for (std::string range; std::getline(in, range, ',');) {
    int first = 0;
    int last = 0;
    const int read = std::sscanf(range.c_str(), "%d-%d", &first, &last);
    if (read == 1) last = first;
    for (int cpu = first; read >= 1 && cpu <= last && cpu < CPU_SETSIZE; ++cpu) CPU_SET(cpu, &set);
  }
  return set;
}

std::vector<int> nodes() {
  std::vector<int> found;
  std::error_code failed;
  for (const fs::directory_entry& e : fs::directory_iterator("/sys/devices/system/node", failed)) {
    const std::string name = e.path().filename();
    if (name.starts_with("node") && name.size() > 4 &&
        name.find_first_not_of("0123456789", 4) == std::string::npos)
      found.push_back(std::stoi(name.substr(4)));
  }
  std::ranges::sort(found);
  return found;
}

}  // namespace

int cpus_allowed() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

int memory_nodes() { return std::max(1, static_cast<int>(nodes().size())); }

double measure_read_bandwidth(int threads) { return read_bandwidth(threads, nullptr); }

std::vector<ReadRate> measure_read_rates() {
  std::vector<ReadRate> rates;
  const int all = cpus_allowed();
  for (int threads = 1; threads < all; threads *= 2)
    rates.push_back({-1, threads, read_bandwidth(threads, nullptr)});
  rates.push_back({-1, all, read_bandwidth(all, nullptr)});
  if (nodes().size() < 2) return rates;

  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  sched_getaffinity(0, sizeof allowed, &allowed);
  for (const int node : nodes()) {
    cpu_set_t cpus = cpus_of_node(node);
    CPU_AND(&cpus, &cpus, &allowed);
    if (const int count = CPU_COUNT(&cpus); count > 0)
      rates.push_back({node, count, read_bandwidth(count, &cpus)});
  }
  return rates;
}

double measure_byte_peak(const Kernels& kernels, int threads) { return burst(kernels.burst_bytes, threads); }
double measure_float_peak(const Kernels& kernels, int threads) {
  return burst(kernels.burst_floats, threads);
}

double measure_clock() {
  constexpr std::int64_t rounds = 1 << 20;
  constexpr int additions = 16;
  double best = 0;
  for (int pass = 0; pass < 7; ++pass) {
    std::uint64_t x = 0;
    const double seconds = seconds_of([&] {
      for (std::int64_t i = 0; i < rounds; ++i)
        for (int k = 0; k < additions; ++k) {
          x += 1;
          asm volatile("" : "+r"(x));  // each waits for the one before
        }
    });
    best = std::max(best, static_cast<double>(rounds) * additions / seconds);
  }
  return best;
}

}  // namespace coterie::bench
