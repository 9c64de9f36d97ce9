// The kernels one by one: every format on every instruction set this machine runs, weights in the cache and from
// memory.
#pragma once

#include "formats/formats.h"
#include "kernels/kernels.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace coterie::bench {

struct KernelResult {
  const FormatInfo* format;
  const char* isa;
  std::int64_t n;  // row length
  int n_tokens;
  bool from_memory;   // else the rows fit the second-level cache
  double seconds;     // of one pass over the rows, the best of several
  double bytes;       // of weights in a pass
  double operations;  // multiplies and adds in a pass
};

struct KernelPlan {
  std::vector<const FormatInfo*> formats;
  std::vector<const Kernels*> isas;
  std::vector<std::int64_t> row_lengths{2048, 7168};
  std::vector<int> tokens{1, 8, 64};
};

// Every weight format with an encoder, every table that runs here.
KernelPlan whole_plan();
void measure_kernels(const KernelPlan& plan, const std::function<void(const KernelResult&)>& sink);

}  // namespace coterie::bench
