// What the 32-block encoders share. Their codes and scales are ggml's, bit for bit; what is infinite or no
// number ends at a bound instead of in undefined behaviour, and stays visible in the scale.
#pragma once

#include "formats/integers.h"

namespace coterie {

// trunc(v) within [low, high]; NaN becomes low.
inline int truncate_to(float v, int low, int high) {
  if (!(v > static_cast<float>(low))) return low;
  return v < static_cast<float>(high) ? static_cast<int>(v) : high;
}

// 1 / d, or 0 where d is zero.
inline float inverse_or_zero(float d) { return d != 0.0F ? 1.0F / d : 0.0F; }

// The scale as it is stored: d, unless a weight is no number, which a search for the extremes steps over.
inline Half scale_for(const float* w, float d) {
  for (int i = 0; i < 32; ++i)
    if (!is_finite(w[i])) return {0x7e00};
  return {float_to_half(d)};
}

}  // namespace coterie
