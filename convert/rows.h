// Rows of an output tensor, made from the checkpoint's bytes one at a time: whatever the layout, nothing
// larger than a row is ever in memory.
#pragma once

#include "convert/names.h"
#include "convert/safetensors.h"

#include <cstdint>
#include <string>
#include <vector>

namespace coterie::convert {

// A matrix of the checkpoint; with scales, each block of scale_rows x scale_columns values is multiplied by
// one of them.
struct Weights {
  const SafeTensor* values = nullptr;
  const SafeTensor* scales = nullptr;
  std::int64_t columns = 0;
  std::int64_t scale_rows = 0, scale_columns = 0;

  // Elements [column, column + n) of a row.
  void read(std::int64_t row, std::int64_t column, std::int64_t n, float* out) const;
};

// A tensor of the output before it is encoded.
struct SourceTensor {
  Layout layout = Layout::plain;
  std::vector<Weights> parts;                 // stacked: one per expert
  std::vector<float> computed;                // where there is no source: the values
  std::int64_t rows_per_part = 0;             // of the output
  std::int64_t columns = 0;                   // of the output
  std::int64_t heads = 0;                     // rotary: heads that share the rows
  std::int64_t key_rows = 0, value_rows = 0;  // kv_b: per head

  void row(std::int64_t row, float* out) const;  // [columns]
};

}  // namespace coterie::convert
