// A calibration under way, on disk: OUTPUT.state, replaced atomically.
//
//   u64 magic, 16 bytes fingerprint of model, text and options, Done, u64 tensors seen, each: u64 number, counts, sums;
//   u64 layers, each: u64 numbers of gate, up and down, u64 experts, each: u64 forced, u64 candidates, candidates;
//   16 bytes XXH3-128 of everything before.
#pragma once

#include "quantize/collector.h"

#include <array>
#include <cstdint>
#include <string>

namespace coterie::quantize {

using Fingerprint = std::array<std::uint64_t, 2>;

struct Done {
  std::int64_t first_reading = 0, second_reading = 0;  // windows
  std::int64_t losses = 0;
  double loss = 0;  // sum
};

void save_state(const std::string& path, const Fingerprint& fingerprint, const Done& done, Collector& collector);

// Nothing done where there is no such file. Throws UsageError where it belongs to another calibration, FileError
// where it is damaged; both name --restart.
Done load_state(const std::string& path, const Fingerprint& fingerprint, Collector& collector);

}  // namespace coterie::quantize
