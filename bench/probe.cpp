#include "bench/probe.h"

#include "base/memory.h"

#include <algorithm>
#include <chrono>
#include <span>
#include <thread>

namespace coterie::bench {

namespace {

// A thread's share as one stream, or as four: which of them the prefetchers of a core like better differs.
std::uint64_t read_all(std::span<const std::uint64_t> words, std::size_t streams) {
  std::uint64_t a = 0, b = 0, c = 0, d = 0;  // independent, so that additions do not limit the loads
  const std::size_t part = words.size() / streams / 8 * 8;
  const std::size_t far = streams == 4 ? part : 1, step = streams == 4 ? 1 : 4;
  for (std::size_t i = 0; i < part; i += step) {
    a += words[i];
    b += words[i + far];
    c += words[i + 2 * far];
    d += words[i + 3 * far];
  }
  return a + b + c + d;
}

double seconds_of(const auto& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Runs work(thread) on so many threads, on these CPUs where there are any; seconds until the last one is done.
template <class Work>
double timed(int threads, const std::optional<cpu_set_t>& cpus, const Work& work) {
  const auto pinned = [&](int t) {
    if (cpus) run_on(*cpus);
    work(t);
  };
  return seconds_of([&] {
    std::vector<std::thread> team;
    for (int t = cpus ? 0 : 1; t < threads; ++t) team.emplace_back(pinned, t);
    if (!cpus) work(0);  // the caller keeps its affinity
    for (std::thread& t : team) t.join();
  });
}

double burst(std::int64_t (*work)(std::int64_t), int threads) {
  constexpr double wanted = 0.02;  // seconds
  std::int64_t rounds = 1024;
  while (seconds_of([&] { work(rounds); }) < wanted) rounds *= 2;
  double best = 0;
  for (int pass = 0; pass < 5; ++pass) {
    const double seconds = timed(threads, std::nullopt, [&](int) { work(rounds); });
    best = std::max(best, static_cast<double>(work(1)) * static_cast<double>(rounds) * threads / seconds);
  }
  return best;
}

}  // namespace

ReadProbe::ReadProbe(int threads, std::optional<cpu_set_t> cpus) : threads_(threads), cpus_(cpus) {
  constexpr std::uint64_t bytes = std::uint64_t{256} << 20;
  if (available_memory() < 4 * bytes) return;
  words_ = Buffer<std::uint64_t>(bytes / sizeof(std::uint64_t), "probe of the read bandwidth");
  const auto part = static_cast<std::size_t>(words_.size() / threads_);
  timed(threads_, cpus_, [&](int t) {  // each thread's pages come from its node
    std::ranges::fill(words_.span().subspan(part * static_cast<std::size_t>(t), part),
                      static_cast<std::uint64_t>(t));
  });
}

double ReadProbe::measure() {
  if (words_.size() == 0) return 0;
  const auto part = static_cast<std::size_t>(words_.size() / threads_);
  std::vector<std::uint64_t> sums(static_cast<std::size_t>(threads_));
  double best = 1e9;
  for (int pass = 0; pass < 2; ++pass)
    for (const std::size_t streams : {std::size_t{1}, std::size_t{4}})
      best = std::min(best, timed(threads_, cpus_, [&](int t) {
                        const auto at = static_cast<std::size_t>(t);
                        sums[at] += read_all(words_.span().subspan(part * at, part), streams);
                      }));
  // The sums are used, so that the loops cannot be left out.
  return sums[0] == 1 ? 0 : static_cast<double>(part * sizeof(std::uint64_t)) * threads_ / best;
}

int cpus_allowed() {
  const cpu_set_t set = allowed_cpus();
  return CPU_COUNT(&set);
}

double measure_read_bandwidth(int threads) { return ReadProbe(threads).measure(); }

std::vector<ReadRate> measure_read_rates() {
  std::vector<ReadRate> rates;
  const int all = cpus_allowed();
  for (int threads = 1; threads < all; threads *= 2)
    rates.push_back({-1, threads, measure_read_bandwidth(threads)});
  rates.push_back({-1, all, measure_read_bandwidth(all)});
  const std::vector<MemoryNode> nodes = memory_nodes();
  for (const MemoryNode& node : nodes)
    if (const int count = CPU_COUNT(&node.cpus); nodes.size() > 1)
      rates.push_back({node.id, count, ReadProbe(count, node.cpus).measure()});
  return rates;
}

double measure_byte_peak(const Kernels& kernels, int threads) { return burst(kernels.burst_bytes, threads); }
double measure_float_peak(const Kernels& kernels, int threads) {
  return burst(kernels.burst_floats, threads);
}

double measure_clock() {
  // Passes shorter than the time for which the system leaves a thread alone: on a busy machine one of them is whole.
  constexpr std::int64_t rounds = 1 << 14;
  constexpr int additions = 16;
  double best = 0;
  for (int pass = 0; pass < 400; ++pass) {
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
