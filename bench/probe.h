// What this machine can do at most, measured: what every figure of a benchmark is a share of.
#pragma once

#include "kernels/kernels.h"

#include <cstdint>
#include <vector>

namespace coterie::bench {

// Bytes per second that so many threads read from main memory together: a buffer larger than most caches,
// best of a few passes, about a tenth of a second. 0: not enough memory to tell.
double measure_read_bandwidth(int threads);

struct ReadRate {
  int node;  // memory node whose CPUs read their own memory; -1: wherever the system places the threads
  int threads;
  double bytes_per_second;
};

// With 1, 2, 4, ... and all CPUs this process may use, then per node where there is more than one.
std::vector<ReadRate> measure_read_rates();

// Operations per second (a multiply-add is two) that so many threads reach in registers.
double measure_byte_peak(const Kernels& kernels, int threads);
double measure_float_peak(const Kernels& kernels, int threads);

// Of the core that runs this: a chain of dependent additions, one a cycle.
double measure_clock();

int cpus_allowed();
int memory_nodes();

}  // namespace coterie::bench
