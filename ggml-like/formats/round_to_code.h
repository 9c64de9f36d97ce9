// Rounding of a float to an integer code by truncation after an offset, as the 32-block encoders of ggml do
// it; what is outside the range, infinite or no number ends at a bound instead of in undefined behaviour.
#pragma once

namespace coterie {

// trunc(v) within [low, high]; NaN becomes low.
inline int truncate_to(float v, int low, int high) {
  if (!(v > static_cast<float>(low))) return low;
  return v < static_cast<float>(high) ? static_cast<int>(v) : high;
}

// 1 / d, or 0 where d is zero.
inline float inverse_or_zero(float d) { return d != 0.0F ? 1.0F / d : 0.0F; }

}  // namespace coterie
