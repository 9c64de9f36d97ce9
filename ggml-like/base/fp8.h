// The 8-bit floats of checkpoints and of NVFP4's scales, after "FP8 Formats for Deep Learning" (arXiv
// 2209.05433): e4m3 (bias 7, no infinity, NaN where all other bits are set) and e5m2 (the upper byte of a
// half). Exact.
#pragma once

#include "base/half.h"

namespace coterie {

// |value| of an e4m3 byte, the NaN read as the 480 it would be: the bits as a float's, its exponent bias
// corrected.
COTERIE_INLINE float e4m3_magnitude(std::uint8_t b) { return float_of((b & 0x7fU) << 20) * 0x1p120F; }

// Without a branch, so that a loop of these becomes vector instructions: the bits of 480 are among those of the NaN.
COTERIE_INLINE float e4m3_to_float(std::uint8_t b) {
  const std::uint32_t sign = (b & 0x80U) << 24, nan = (b & 0x7fU) == 0x7fU ? 0x7ff00000U : 0U;
  return float_of(sign | bits_of(e4m3_magnitude(b)) | nan);
}

COTERIE_INLINE float e5m2_to_float(std::uint8_t b) {
  const float f = half_to_float(static_cast<std::uint16_t>(b << 8));
  return (b & 0x7fU) > 0x7cU ? float_of(bits_of(f) | 0x00400000U) : f;  // NaN: quiet
}

}  // namespace coterie
