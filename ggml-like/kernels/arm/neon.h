// What the NEON kernels are written with: products of bytes on the three kinds of 64-bit ARM, and the loads of
// blocks that need not be aligned.
//
//   Neon       armv8-a: widening products, added up pairwise
//   NeonDot    sdot: four products to a doubleword
//   NeonI8mm   and smmla: two rows of eight bytes times two
#pragma once

#include "base/simd.h"
#include "formats/activation.h"
#include "formats/bytes.h"
#include "kernels/each.h"

#include <arm_neon.h>

namespace coterie {

template <class Isa>
struct NeonDots;

template <>
struct NeonDots<Neon> {
  static constexpr bool has_matrix = false;
  // acc plus sixteen products, spread over four doublewords. Two products fit a word: |a| <= 128, |b| <= 127.
  COTERIE_INLINE static int32x4_t dot(int32x4_t acc, int8x16_t a, int8x16_t b) {
    const int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(b));
    return vpadalq_s16(acc, vmlal_high_s8(low, a, b));
  }
};

template <class Isa>
concept NeonIsa = requires {
  NeonDots<Isa>::has_matrix;
};

COTERIE_INLINE uint8x16_t load16(const void* p) { return vld1q_u8(static_cast<const std::uint8_t*>(p)); }
COTERIE_INLINE float half(Half h) {
  return vgetq_lane_f32(vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(h.bits))), 0);
}

COTERIE_INLINE int8x16_t as_signed(uint8x16_t v) { return vreinterpretq_s8_u8(v); }
// Bits `shift` to `shift + count - 1` of every byte.
template <int shift, int count>
COTERIE_INLINE uint8x16_t bits_at(uint8x16_t v) {
  constexpr std::uint8_t mask = (1 << count) - 1;
  if constexpr (shift == 0)
    return vandq_u8(v, vdupq_n_u8(mask));
  else if constexpr (shift + count == 8)
    return vshrq_n_u8(v, shift);
  else
    return vandq_u8(vshrq_n_u8(v, shift), vdupq_n_u8(mask));
}

}  // namespace coterie
