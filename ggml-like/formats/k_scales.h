// The twelve bytes in which Q4_K and Q5_K keep eight 6-bit scales and eight 6-bit minima, one pair per 32
// weights.
//
//   byte j      (j < 4)   bits 0..5 scale j          bits 6..7 upper two bits of scale j + 4
//   byte 4 + j            bits 0..5 minimum j        bits 6..7 upper two bits of minimum j + 4
//   byte 8 + j            bits 0..3 scale j + 4, lower four bits;  bits 4..7 minimum j + 4, lower four bits
//
// In Integers256 a group is 16 weights, so each number is there twice.
#pragma once

#include "formats/bytes.h"
#include "formats/integers.h"

namespace coterie {

COTERIE_INLINE void unpack_k_scales(const std::uint8_t* bytes, Integers256& u) {
  for (int j = 0; j < 4; ++j) {
    const int both = bytes[j + 8];
    u.scales[2 * j] = u.scales[2 * j + 1] = static_cast<std::int8_t>(bytes[j] & 63);
    u.mins[2 * j] = u.mins[2 * j + 1] = static_cast<std::int8_t>(bytes[j + 4] & 63);
    u.scales[2 * j + 8] = u.scales[2 * j + 9] = static_cast<std::int8_t>((both & 15) | (bytes[j] >> 6) << 4);
    u.mins[2 * j + 8] = u.mins[2 * j + 9] = static_cast<std::int8_t>((both >> 4) | (bytes[j + 4] >> 6) << 4);
  }
}

// The same, four numbers to an integer and each once: for kernels.
struct KScales {
  std::uint32_t scales[2], mins[2];
};
COTERIE_INLINE KScales k_scales_by_four(const std::uint8_t* bytes) {
  const std::uint32_t a = load_u32(bytes), b = load_u32(bytes + 4), both = load_u32(bytes + 8);
  return {{a & 0x3f3f3f3fU, (both & 0x0f0f0f0fU) | (a >> 2 & 0x30303030U)},
          {b & 0x3f3f3f3fU, (both >> 4 & 0x0f0f0f0fU) | (b >> 2 & 0x30303030U)}};
}

inline void pack_k_scales(const Integers256& u, std::uint8_t* bytes) {
  for (int j = 0; j < 4; ++j) {
    const int scale = u.scales[2 * j + 8];
    const int min = u.mins[2 * j + 8];
    bytes[j] = static_cast<std::uint8_t>(u.scales[2 * j] | (scale >> 4) << 6);
    bytes[j + 4] = static_cast<std::uint8_t>(u.mins[2 * j] | (min >> 4) << 6);
    bytes[j + 8] = static_cast<std::uint8_t>((scale & 15) | (min & 15) << 4);
  }
}

}  // namespace coterie
