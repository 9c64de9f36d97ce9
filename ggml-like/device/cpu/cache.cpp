#include "device/cpu/cache.h"

#include "base/errors.h"
#include "formats/list.h"

#include <cstring>
#include <string>
#include <vector>

namespace coterie {

const FormatInfo& format_of(CacheType type) {
  constexpr int indices[] = {index_of<F32>, index_of<F16>, index_of<Q8_0>, index_of<Q4_0>};
  return all_formats()[static_cast<std::size_t>(indices[static_cast<int>(type)])];
}

CacheRows::CacheRows(CacheType type, std::int64_t positions, std::int64_t width, std::int64_t unit)
    : type_(type), width_(width) {
  const FormatInfo& format = format_of(type);
  if (unit % format.block_size != 0)
    throw UsageError("--kv " + std::string(format.name) + ": this model reads its cache in stretches of " +
                     std::to_string(unit) + " values, expected a multiple of " +
                     std::to_string(format.block_size));
  pages_ = Pages(static_cast<std::uint64_t>(positions * row_bytes()), "KV cache");
}

void CacheRows::store(const Kernels& k, std::int64_t position, const float* row) {
  std::byte* to = pages_.data() + position * row_bytes();
  if (type_ == CacheType::f32)
    std::memcpy(to, row, static_cast<std::size_t>(row_bytes()));
  else if (type_ == CacheType::f16)
    k.float_to_half(row, width_, reinterpret_cast<std::uint16_t*>(to));
  else
    k.encode[format_of(type_).index](row, nullptr, width_, to);
}

void CacheRows::fill(const Kernels& k, std::int64_t n) {
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

CacheRows::View CacheRows::read(const Kernels& k, std::int64_t first, int n_rows, std::int64_t column,
                                std::int64_t n, float* scratch) const {
  const std::byte* from = pages_.data() + first * row_bytes() + bytes(type_, column);
  if (type_ == CacheType::f32) return {reinterpret_cast<const float*>(from), width_};
  const FormatInfo& format = format_of(type_);
  const std::int64_t from_bytes = row_bytes();
  for (int r = 0; r < n_rows; ++r, from += from_bytes) {
    float* to = scratch + r * n;
    if (type_ == CacheType::f16)
      k.half_to_float(reinterpret_cast<const std::uint16_t*>(from), n, to);
    else if (type_ == CacheType::q8_0)
      k.q8_0_to_float(from, n, to);
    else
      format.decode(from, n, to);
  }
  return {scratch, n};
}

CacheRows::ByteView CacheRows::read_bytes(const Kernels& k, std::int64_t first, int n_rows,
                                          std::byte* scratch) const {
  const std::byte* from = pages_.data() + first * row_bytes();
  if (type_ == CacheType::q8_0) return {from, row_bytes()};
  const std::int64_t to_bytes = byte_scratch(width_);
  for (int r = 0; r < n_rows; ++r) k.q4_0_to_q8_0(from + r * row_bytes(), width_, scratch + r * to_bytes);
  return {scratch, to_bytes};
}

}  // namespace coterie
