// sdot; included by the files built for it.
#pragma once

#include "kernels/arm/neon.h"

namespace coterie {

template <>
struct NeonDots<NeonDot> {
  static constexpr bool has_matrix = false;
  COTERIE_INLINE static int32x4_t dot(int32x4_t acc, int8x16_t a, int8x16_t b) {
    return vdotq_s32(acc, a, b);
  }
};

}  // namespace coterie
