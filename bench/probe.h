// What this machine can do at most, measured: what every figure of a benchmark is a share of.
#pragma once

#include "base/nodes.h"
#include "kernels/kernels.h"
#include "tensor/buffer.h"

#include <cstdint>
#include <optional>
#include <vector>

namespace coterie::bench {

// Reads main memory with so many threads, as often as asked: on a machine that drifts a limit holds for the moment in
// which it was measured. The buffer, larger than most caches, is filled once.
class ReadProbe {
 public:
  // cpus: where the threads run and the memory lies; none: wherever the system places them.
  explicit ReadProbe(int threads, std::optional<cpu_set_t> cpus = std::nullopt);
  // Bytes per second of all threads: the best of several passes and of several patterns, about a twentieth of a
  // second. 0: not enough memory to tell.
  double measure();

 private:
  int threads_;
  std::optional<cpu_set_t> cpus_;
  Buffer<std::uint64_t> words_;
};

double measure_read_bandwidth(int threads);  // once

struct ReadRate {
  int node;  // memory node whose CPUs read their own memory; -1: wherever the system places the threads
  int threads;
  double bytes_per_second;
};

// With 1, 2, 4, ... and all CPUs this process may use, then per node where there is more than one.
std::vector<ReadRate> measure_read_rates();

// Operations per second (a multiply-add is two) that so many threads reach in registers: about a tenth of a second.
double measure_byte_peak(const Kernels& kernels, int threads);
double measure_float_peak(const Kernels& kernels, int threads);

// Of the core that runs this: a chain of dependent additions, one a cycle.
double measure_clock();

int cpus_allowed();

}  // namespace coterie::bench
