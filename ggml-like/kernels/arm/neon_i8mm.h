// smmla; included by the file built for it.
#pragma once

#include "kernels/arm/neon_dot.h"

namespace coterie {

template <>
struct NeonDots<NeonI8mm> : NeonDots<NeonDot> {
  static constexpr bool has_matrix = true;
  // acc plus the products of two rows with two columns, sixteen bytes each: r0 c0, r0 c1, r1 c0, r1 c1.
  COTERIE_INLINE static int32x4_t multiply(int32x4_t acc, const int8x16_t (&rows)[2],
                                           const int8x16_t (&columns)[2]) {
    acc = vmmlaq_s32(acc, halves(rows[0], rows[1], false), halves(columns[0], columns[1], false));
    return vmmlaq_s32(acc, halves(rows[0], rows[1], true), halves(columns[0], columns[1], true));
  }

 private:
  COTERIE_INLINE static int8x16_t halves(int8x16_t a, int8x16_t b, bool upper) {
    const int64x2_t p = vreinterpretq_s64_s8(a);
    const int64x2_t q = vreinterpretq_s64_s8(b);
    return vreinterpretq_s8_s64(upper ? vzip2q_s64(p, q) : vzip1q_s64(p, q));
  }
};

}  // namespace coterie
