// Q3_K, 3.44 bits per weight: 256 weights in 16 groups of 16, each with a 6-bit scale;
// weight = (scale * (scales[g] - 32)) * (q - 4), q in [0, 7].
//
//   bytes 0..31     third bits: byte j, bit 4 h + k (h < 2, k < 4, j < 32) belongs to weight 128 h + 32 k + j
//   bytes 32..95    lower two bits: byte 32 + 32 h + j, bits 2 k .. 2 k + 1 belong to the same weight
//   bytes 96..103   byte 96 + i: scale i, lower four bits, in the low nibble, scale i + 8 in the high nibble
//   bytes 104..107  byte 104 + i, bits 2 k .. 2 k + 1: upper two bits of scale 4 k + i
//   bytes 108..109  scale of the scales, half precision
#pragma once

#include "formats/integers.h"
#include "formats/shape.h"

namespace coterie {

struct Q3_K {
  static constexpr const char* name = "Q3_K";
  static constexpr int gguf_id = 11;
  static constexpr int block_size = 256;
  static constexpr bool has_mins = false;
  static constexpr IntegerShape shape{.code_low = -4, .code_high = 3, .scale_low = -32, .scale_high = 31};
  using Activation = Act256;
  using Integers = Integers256;

  struct Block {
    std::uint8_t third[32];
    std::uint8_t low[64];
    std::uint8_t scales_low[8];
    std::uint8_t scales_high[4];
    Half scale;
  };
  static_assert(sizeof(Block) == 110);

  COTERIE_INLINE static void unpack(const Block& b, Integers& u) {
    u.d = b.scale;
    for (int g = 0; g < 16; ++g) {
      const int low = b.scales_low[g % 8] >> (g / 8 * 4) & 15;
      const int high = b.scales_high[g % 4] >> (g / 4 * 2) & 3;
      u.scales[g] = static_cast<std::int8_t>((low | high << 4) - 32);
    }
    for (int h = 0; h < 2; ++h)
      for (int k = 0; k < 4; ++k)
        for (int j = 0; j < 32; ++j) {
          const int low = b.low[32 * h + j] >> (2 * k) & 3;
          const int third = b.third[j] >> (4 * h + k) & 1;
          u.q[128 * h + 32 * k + j] = static_cast<std::int8_t>((low | third << 2) - 4);
        }
  }

  COTERIE_INLINE static void decode(const Block& b, float* w) { decode_unpacked<Q3_K>(b, w); }
  COTERIE_INLINE static float accumulate(const Block& b, const Activation* x, float acc) {
    return accumulate_unpacked<Q3_K>(b, x, acc);
  }
  COTERIE_INLINE static bool legal(const Block& b) { return is_finite(b.scale); }

  static void pack(const Integers& u, Block& b);
};

}  // namespace coterie
