#include "convert/rows.h"

#include <algorithm>

namespace coterie::convert {

void Weights::read(std::int64_t row, std::int64_t column, std::int64_t n, float* out) const {
  to_float(*values, row * columns + column, n, out);
  if (scales == nullptr) return;
  const std::int64_t scales_per_row = (columns + scale_columns - 1) / scale_columns;
  for (std::int64_t i = 0; i < n;) {
    const std::int64_t block = (column + i) / scale_columns;
    const std::int64_t end = std::min(n, (block + 1) * scale_columns - column);
    float scale = 0;
    to_float(*scales, row / scale_rows * scales_per_row + block, 1, &scale);
    constexpr std::int64_t lanes = 16;  // a length that the compiler knows
    for (; i + lanes <= end; i += lanes)
      for (std::int64_t j = 0; j < lanes; ++j) out[i + j] *= scale;
    for (; i < end; ++i) out[i] *= scale;
  }
}

void SourceTensor::row(std::int64_t row, float* out) const {
  if (!computed.empty()) {
    std::copy_n(computed.data() + row * columns, columns, out);
    return;
  }
  const Weights& w = parts[static_cast<std::size_t>(row / rows_per_part)];
  const std::int64_t r = row % rows_per_part;
  const std::int64_t head_rows = key_rows + value_rows;
  switch (layout) {
    case Layout::plain:
      w.read(r, 0, columns, out);
      break;
    case Layout::rotary_query:
    case Layout::rotary_key: {
      const std::int64_t d = rows_per_part / heads, in_head = r % d;
      w.read(r - in_head + in_head % 2 * (d / 2) + in_head / 2, 0, columns, out);
      break;
    }
    case Layout::key_half: {
      // Row r is column (r mod kv_lora) of a head's keys.
      const std::int64_t head = r / w.columns, column = r % w.columns;
      for (std::int64_t i = 0; i < columns; ++i) w.read(head * head_rows + i, column, 1, out + i);
      break;
    }
    case Layout::value_half:
      w.read(r / value_rows * head_rows + key_rows + r % value_rows, 0, columns, out);
      break;
  }
}

}  // namespace coterie::convert
