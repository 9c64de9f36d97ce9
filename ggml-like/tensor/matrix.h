// A view of weights in the mapped file: rows of blocks in one format, possibly a stack of such matrices
// (experts, heads).
#pragma once

#include "formats/formats.h"

#include <cstddef>
#include <cstdint>

namespace coterie {

struct Matrix {
  const std::byte* data = nullptr;  // null: the tensor is absent
  const FormatInfo* format = nullptr;
  std::int64_t n = 0;      // weights per row (ne0)
  std::int64_t rows = 0;   // rows per matrix (ne1)
  std::int64_t count = 1;  // matrices in the stack (ne2)

  explicit operator bool() const { return data != nullptr; }
  std::int64_t row_bytes() const { return format->row_bytes(n); }
  std::int64_t bytes() const { return count * rows * row_bytes(); }
  const std::byte* row(std::int64_t r) const { return data + r * row_bytes(); }
  Matrix rows_at(std::int64_t first, std::int64_t how_many) const {
    return {row(first), format, n, how_many, 1};
  }
  Matrix at(std::int64_t i) const { return rows_at(i * rows, rows); }  // one matrix of the stack
};

}  // namespace coterie
