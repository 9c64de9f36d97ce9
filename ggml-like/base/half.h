// Small floats: half precision, bfloat16, and the 8-bit scales of MXFP4 and NVFP4.
//
// Conversions are written on bits, so that every compiler, flag set and CPU gives the same result. Widening is exact;
// narrowing rounds to nearest, ties to even, and keeps NaN a NaN.
#pragma once

#include "base/inline.h"

#include <bit>
#include <cstdint>

namespace coterie {

COTERIE_INLINE std::uint32_t bits_of(float f) { return __builtin_bit_cast(std::uint32_t, f); }
COTERIE_INLINE float float_of(std::uint32_t u) { return __builtin_bit_cast(float, u); }

COTERIE_INLINE float half_to_float(std::uint16_t h) {
  const std::uint32_t sign = static_cast<std::uint32_t>(h & 0x8000U) << 16;
  const std::uint32_t rest = h & 0x7fffU;
  if (rest >= 0x7c00U) return float_of(sign | 0x7f800000U | (rest & 0x3ffU) << 13);
  if (rest >= 0x0400U) return float_of(sign | ((rest << 13) + 0x38000000U));
  // Subnormal: an integer times 2^-24, exact in float.
  return float_of(sign | bits_of(static_cast<float>(rest) * 0x1p-24F));
}

COTERIE_INLINE std::uint16_t float_to_half(float f) {
  const std::uint32_t u = bits_of(f);
  const std::uint32_t sign = (u >> 16) & 0x8000U;
  const std::uint32_t a = u & 0x7fffffffU;
  if (a > 0x7f800000U) return static_cast<std::uint16_t>(sign | 0x7e00U);
  if (a >= 0x477ff000U) return static_cast<std::uint16_t>(sign | 0x7c00U);  // rounds to 65536 or above
  if (a < 0x38800000U) {
    // Subnormal half: adding 0.5 aligns the last kept bit with the last bit of the float, which rounds to even.
    const float shifted = float_of(a) + 0.5F;
    return static_cast<std::uint16_t>(sign | (bits_of(shifted) - 0x3f000000U));
  }
  const std::uint32_t odd = (a >> 13) & 1U;
  return static_cast<std::uint16_t>(sign | ((a - 0x38000000U + 0xfffU + odd) >> 13));
}

COTERIE_INLINE float bf16_to_float(std::uint16_t b) { return float_of(static_cast<std::uint32_t>(b) << 16); }

COTERIE_INLINE std::uint16_t float_to_bf16(float f) {
  const std::uint32_t u = bits_of(f);
  if ((u & 0x7fffffffU) > 0x7f800000U) return static_cast<std::uint16_t>((u >> 16) | 0x40U);
  return static_cast<std::uint16_t>((u + 0x7fffU + ((u >> 16) & 1U)) >> 16);
}

// Half precision as it stands in a block: two bytes, no alignment asked for beyond theirs.
struct Half {
  std::uint16_t bits;
  COTERIE_INLINE operator float() const { return half_to_float(bits); }  // NOLINT: a Half is a number
};

struct BFloat16 {
  std::uint16_t bits;
  COTERIE_INLINE operator float() const { return bf16_to_float(bits); }  // NOLINT: a BFloat16 is a number
};

}  // namespace coterie
