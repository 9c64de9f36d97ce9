// What the IQ formats share: grid points and signs.
//
// A grid point is eight (or four) levels. Only three (or eight) levels exist, so that the tables keep two (or
// four) bits for each; here they are spread over the bytes of one integer and turned into levels, all bytes
// at once.
#pragma once

#include "formats/bytes.h"
#include "formats/codebook.h"
#include "formats/integers.h"

namespace coterie {

// The scale 2 n + 1 of the low nibble n.
COTERIE_INLINE std::int8_t odd_scale(int nibble) { return static_cast<std::int8_t>(2 * (nibble & 15) + 1); }

// Seven signs and the one that makes their number even.
COTERIE_INLINE constexpr std::uint32_t even_signs(std::uint32_t seven) {
  return seven | static_cast<std::uint32_t>(__builtin_parity(seven)) << 7;
}

// Two bits each, into the eight bytes of the result.
COTERIE_INLINE constexpr std::uint64_t spread_pairs(std::uint16_t packed) {
  std::uint64_t v = packed;
  v = (v | v << 24) & 0x000000ff000000ffU;
  v = (v | v << 12) & 0x000f000f000f000fU;
  return (v | v << 6) & 0x0303030303030303U;
}

// Four bits each, into the four bytes of the result.
COTERIE_INLINE constexpr std::uint32_t spread_nibbles(std::uint16_t packed) {
  std::uint32_t v = packed;
  v = (v | v << 8) & 0x00ff00ffU;
  return (v | v << 4) & 0x0f0f0f0fU;
}

// Levels 8, 25, 43 for 0, 1, 2.
COTERIE_INLINE constexpr std::uint64_t iq2_point(std::uint16_t packed) {
  const std::uint64_t v = spread_pairs(packed);
  return 0x0808080808080808U + 17 * v + (v >> 1 & 0x0101010101010101U);
}

// Levels 4, 12, 20, 28, 36, 44, 52, 62 for 0 .. 7: the last is two more than the rule.
COTERIE_INLINE constexpr std::uint32_t iq3_xxs_point(std::uint16_t packed) {
  const std::uint32_t v = spread_nibbles(packed);
  return 0x04040404U + 8 * v + 2 * (v & v >> 1 & v >> 2 & 0x01010101U);
}

// Levels 1, 3 .. 15 for 0 .. 7.
COTERIE_INLINE constexpr std::uint32_t iq3_s_point(std::uint16_t packed) {
  return 0x01010101U + 2 * spread_nibbles(packed);
}

// q[j] = byte j of the point, negative where bit j of signs is set.
template <int n>
COTERIE_INLINE void store_signed(std::uint64_t point, std::uint32_t signs, std::int8_t* q) {
  for (int j = 0; j < n; ++j) {
    const int level = static_cast<int>(point >> (8 * j) & 255);
    const int minus = static_cast<int>(signs >> j & 1);
    q[j] = static_cast<std::int8_t>((level ^ -minus) + minus);
  }
}

// Levels -1, 0, 1 for 0, 1, 2, times eight, with the offset of one eighth: q[j] = 8 level +- 1.
COTERIE_INLINE void store_iq1_point(std::uint16_t packed, bool offset_is_negative, std::int8_t* q) {
  const int offset = offset_is_negative ? -9 : -7;
  for (int j = 0; j < 8; ++j) q[j] = static_cast<std::int8_t>(8 * (packed >> (2 * j) & 3) + offset);
}

}  // namespace coterie
