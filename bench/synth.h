// A GGUF file of true shapes and random weights, so that anyone can measure speed without a download.
//
// Weights are Gaussian with variance 1 / row length, norms are 1: activations stay sane. Experts get the wanted format;
// attention, the shared expert and dense layers Q8_0, the head Q6_K, norms and the router F32; rows that do not fit fall
// back (quantize/fallback.h). One pool of blocks per format and row length is encoded; each row is a stretch of it from a
// place of its own, so that writing runs at the disk's speed. Same arguments, same bytes.
#pragma once

#include "bench/shapes.h"
#include "formats/formats.h"

#include <cstdint>
#include <functional>
#include <string>

namespace coterie::bench {

struct SynthOptions {
  convert::HfConfig shape;  // with the layers wanted
  const FormatInfo* type;   // of the routed experts
  std::uint64_t seed = 1;
  std::string to;
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;  // bytes; may be empty
};

// Throws UsageError (a type that cannot be made), DiskFullError, Error.
void synthesize(const SynthOptions& options);

}  // namespace coterie::bench
