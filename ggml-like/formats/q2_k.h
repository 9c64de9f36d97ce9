// Q2_K, 2.625 bits per weight: 256 weights in 16 groups of 16, each with a 4-bit scale and a 4-bit minimum;
// weight = (scale * scales[g]) * q - min * mins[g], q in [0, 3].
//
//   bytes 0..15   byte g: scale of group g in the low nibble, its minimum in the high nibble
//   bytes 16..79  byte 16 + 32 h + j (h < 2, j < 32): bits 2 k .. 2 k + 1 (k < 4) are weight 128 h + 32 k + j
//   bytes 80..81  scale of the scales, half precision
//   bytes 82..83  scale of the minima, half precision
#pragma once

#include "formats/integers.h"
#include "formats/shape.h"

namespace coterie {

struct Q2_K {
  static constexpr const char* name = "Q2_K";
  static constexpr int gguf_id = 10;
  static constexpr int block_size = 256;
  static constexpr bool has_mins = true;
  static constexpr IntegerShape shape{.code_high = 3, .scale_high = 15, .has_mins = true};
  using Activation = Act256;
  using Integers = Integers256;

  struct Block {
    std::uint8_t groups[16];
    std::uint8_t codes[64];
    Half scale;
    Half min;
  };
  static_assert(sizeof(Block) == 84);

  COTERIE_INLINE static void unpack(const Block& b, Integers& u) {
    u.d = b.scale;
    u.dmin = b.min;
    for (int g = 0; g < 16; ++g) {
      u.scales[g] = static_cast<std::int8_t>(b.groups[g] & 15);
      u.mins[g] = static_cast<std::int8_t>(b.groups[g] >> 4);
    }
    for (int h = 0; h < 2; ++h)
      for (int k = 0; k < 4; ++k)
        for (int j = 0; j < 32; ++j)
          u.q[128 * h + 32 * k + j] = static_cast<std::int8_t>(b.codes[32 * h + j] >> (2 * k) & 3);
  }

  COTERIE_INLINE static void decode(const Block& b, float* w) { decode_unpacked<Q2_K>(b, w); }
  COTERIE_INLINE static float accumulate(const Block& b, const Activation* x, float acc) {
    return accumulate_unpacked<Q2_K>(b, x, acc);
  }
  COTERIE_INLINE static bool legal(const Block& b) { return is_finite(b.scale) && is_finite(b.min); }

  static void pack(const Integers& u, Block& b);
};

}  // namespace coterie
