// One layer's cache: rows of floats by position, stored in F32, F16, Q8_0 or Q4_0. Attention always reads what was
// stored, the current token's own row included.
#pragma once

#include "formats/formats.h"
#include "kernels/kernels.h"
#include "tensor/buffer.h"

#include <cstdint>

namespace coterie {

enum class CacheType { f32, f16, q8_0, q4_0 };
const FormatInfo& format_of(CacheType type);
inline bool in_bytes(CacheType type) { return type == CacheType::q8_0 || type == CacheType::q4_0; }

class CacheRows {
 public:
  CacheRows() = default;
  // Columns are read in stretches that begin and end at multiples of `unit`, which divides the width. Throws
  // UsageError where these are no whole blocks of the type, MemoryError.
  CacheRows(CacheType type, std::int64_t positions, std::int64_t width, std::int64_t unit);

  CacheType type() const { return type_; }
  static std::int64_t bytes(CacheType type, std::int64_t n) { return format_of(type).row_bytes(n); }
  std::int64_t row_bytes() const { return bytes(type_, width_); }

  void store(const Kernels& k, std::int64_t position, const float* row);
  // The first n rows with numbers between -1 and 1 that mean nothing.
  void fill(const Kernels& k, std::int64_t n);

  struct View {
    const float* rows;
    std::int64_t stride;  // floats from one position to the next
  };
  // Columns [column, column + n) of n_rows positions as floats: in place, or widened into scratch.
  View read(const Kernels& k, std::int64_t first, int n_rows, std::int64_t column, std::int64_t n,
            float* scratch) const;
  struct ByteView {
    const std::byte* rows;
    std::int64_t row_bytes;
  };
  // Whole rows as Q8_0, of a cache in bytes: in place, or unpacked into scratch, byte_scratch(width) for each row.
  ByteView read_bytes(const Kernels& k, std::int64_t first, int n_rows, std::byte* scratch) const;
  static std::int64_t byte_scratch(std::int64_t width) { return bytes(CacheType::q8_0, width); }

 private:
  CacheType type_ = CacheType::f32;
  std::int64_t width_ = 0;
  Pages pages_;
};

}  // namespace coterie
