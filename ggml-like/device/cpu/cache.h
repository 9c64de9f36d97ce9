// One layer's cache: rows of floats by position, stored in F32 or rounded to F16. Attention always reads what
// was stored, the current token's own row included.
#pragma once

#include "kernels/kernels.h"
#include "tensor/buffer.h"

#include <cstdint>
#include <cstring>
#include <vector>

namespace coterie {

enum class CacheType { f32, f16 };

class CacheRows {
 public:
  CacheRows() = default;
  CacheRows(CacheType type, std::int64_t positions, std::int64_t width)
      : type_(type),
        width_(width),
        pages_(static_cast<std::uint64_t>(positions * width * bytes_each(type)), "KV cache") {}

  static std::int64_t bytes_each(CacheType type) { return type == CacheType::f32 ? 4 : 2; }
  std::int64_t row_bytes() const { return width_ * bytes_each(type_); }

  void store(const Kernels& k, std::int64_t position, const float* row) {
    std::byte* to = pages_.data() + position * row_bytes();
    if (type_ == CacheType::f32)
      std::memcpy(to, row, static_cast<std::size_t>(row_bytes()));
    else
      k.float_to_half(row, width_, reinterpret_cast<std::uint16_t*>(to));
  }

  // The first n rows with numbers between -1 and 1 that mean nothing.
  void fill(const Kernels& k, std::int64_t n) {
    std::vector<float> row(static_cast<std::size_t>(width_));
    std::uint32_t state = 1;
    for (std::int64_t position = 0; position < n; ++position) {
      for (float& x : row) {
        state = state * 1664525 + 1013904223;  // a linear congruential generator (Numerical Recipes)
        x = static_cast<float>(static_cast<std::int32_t>(state)) * 0x1p-31F;
      }
      store(k, position, row.data());
    }
  }

  struct View {
    const float* rows;
    std::int64_t stride;  // floats from one position to the next
  };
  // Columns [column, column + n) of n_rows positions as floats: in place, or widened into scratch.
  View read(const Kernels& k, std::int64_t first, int n_rows, std::int64_t column, std::int64_t n,
            float* scratch) const {
    const std::byte* from = pages_.data() + first * row_bytes() + column * bytes_each(type_);
    if (type_ == CacheType::f32) return {reinterpret_cast<const float*>(from), width_};
    for (int r = 0; r < n_rows; ++r)
      k.half_to_float(reinterpret_cast<const std::uint16_t*>(from + r * row_bytes()), n, scratch + r * n);
    return {scratch, n};
  }

 private:
  CacheType type_ = CacheType::f32;
  std::int64_t width_ = 0;
  Pages pages_;
};

}  // namespace coterie
