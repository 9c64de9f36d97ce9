// 32 codes of five bits, as Q5_0 and Q5_1 store them: nibbles (weight j low, weight j + 16 high) and a bit
// each.
#pragma once

#include "formats/integers.h"

namespace coterie {

COTERIE_INLINE int five_bit_code(const std::uint8_t* nibbles, const std::uint8_t* fifth, int i) {
  return (nibbles[i % 16] >> (i / 16 * 4) & 15) | (fifth[i / 8] >> (i % 8) & 1) << 4;
}

// Into bytes that are zero.
inline void set_five_bit_code(std::uint8_t* nibbles, std::uint8_t* fifth, int i, int code) {
  nibbles[i % 16] |= static_cast<std::uint8_t>((code & 15) << (i / 16 * 4));
  fifth[i / 8] |= static_cast<std::uint8_t>((code >> 4) << (i % 8));
}

}  // namespace coterie
