// The two forms to which a float vector is quantised before it meets block weights.
//
// id = 127 / absmax, q = rint(x * id) (half to even, within [-127, 127]), scale = absmax / 127 in F32; a
// block whose absmax is zero or so small that id overflows is all zero with scale 0. A NaN or infinity
// anywhere makes the scale NaN and every q zero, so that it reaches the output instead of being rounded away.
// One definition for every ISA: the float steps are IEEE operations on single elements; the maximum is taken
// on the bits of |x| as integers, which orders floats, is free of order itself and puts infinity and NaN on
// top.
#pragma once

#include "base/half.h"

#include <cstdint>

namespace coterie {

// 256 values: the other operand of the super-block formats. group_sums[g] = sum of q[16 g .. 16 g + 15].
struct Act256 {
  static constexpr int block_size = 256;
  float scale;
  std::int8_t q[256];
  std::int16_t group_sums[16];
};
static_assert(sizeof(Act256) == 292);

// 32 values: the other operand of the 32-block formats. sum = sum of all q.
struct Act32 {
  static constexpr int block_size = 32;
  float scale;
  std::int32_t sum;
  std::int8_t q[32];
};
static_assert(sizeof(Act32) == 40);

// No quantisation: F32, F16 and BF16 weights meet the floats themselves.
struct ActF32 {
  static constexpr int block_size = 1;
  float value;
};

// Quantises n values; returns the scale.
template <int n>
COTERIE_INLINE float quantize_values(const float* x, std::int8_t* q) {
  std::uint32_t top = 0;
  for (int i = 0; i < n; ++i) {
    const std::uint32_t magnitude = bits_of(x[i]) & 0x7fffffffU;
    top = magnitude > top ? magnitude : top;
  }
  const float absmax = float_of(top);
  const float id = 127.0F / absmax;
  if (top >= 0x7f800000U || bits_of(id) >= 0x7f800000U) {
    for (int i = 0; i < n; ++i) q[i] = 0;
    return top >= 0x7f800000U ? float_of(0x7fc00000U) : 0.0F;
  }
  for (int i = 0; i < n; ++i) q[i] = static_cast<std::int8_t>(__builtin_rintf(x[i] * id));
  return absmax / 127.0F;
}

COTERIE_INLINE void quantize_block(const float* x, Act256& a) {
  a.scale = quantize_values<256>(x, a.q);
  for (int g = 0; g < 16; ++g) {
    int sum = 0;
    for (int i = 0; i < 16; ++i) sum += a.q[16 * g + i];
    a.group_sums[g] = static_cast<std::int16_t>(sum);
  }
}

COTERIE_INLINE void quantize_block(const float* x, Act32& a) {
  a.scale = quantize_values<32>(x, a.q);
  a.sum = 0;
  for (int i = 0; i < 32; ++i) a.sum += a.q[i];
}

}  // namespace coterie
