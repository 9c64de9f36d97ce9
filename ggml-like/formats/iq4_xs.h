// IQ4_XS, 4.25 bits per weight: 256 weights in eight groups of 32, each with a 6-bit scale;
// weight = (scale * (scales[g] - 32)) * iq4_levels[q], q in [0, 15].
//
//   bytes 0..1    scale of the scales, half precision
//   bytes 2..3    upper two bits of scale g: bits 2 g % 8 .. 2 g % 8 + 1 of byte 2 + g / 4
//   bytes 4..7    lower four bits: byte 4 + g / 2, low nibble for even g, high nibble for odd g
//   bytes 8..135  byte 8 + 16 g + j (j < 16): weight 32 g + j in the low nibble,
//                 weight 32 g + 16 + j in the high nibble
#pragma once

#include "formats/iq4_nl.h"
#include "formats/shape.h"

namespace coterie {

struct IQ4_XS {
  static constexpr const char* name = "IQ4_XS";
  static constexpr int gguf_id = 23;
  static constexpr int block_size = 256;
  static constexpr bool has_mins = false;
  static constexpr IntegerShape shape{
      .group = 32, .code_low = -127, .code_high = 113, .iq4 = true, .scale_low = -32, .scale_high = 31};
  using Activation = Act256;
  using Integers = Integers256;

  struct Block {
    Half scale;
    std::uint8_t scales_high[2];
    std::uint8_t scales_low[4];
    std::uint8_t nibbles[128];
  };
  static_assert(sizeof(Block) == 136);

  COTERIE_INLINE static void unpack(const Block& b, Integers& u) {
    u.d = b.scale;
    for (int g = 0; g < 8; ++g) {
      const int low = b.scales_low[g / 2] >> (g % 2 * 4) & 15;
      const int high = b.scales_high[g / 4] >> (g % 4 * 2) & 3;
      u.scales[2 * g] = u.scales[2 * g + 1] = static_cast<std::int8_t>((low | high << 4) - 32);
      for (int j = 0; j < 16; ++j) {
        u.q[32 * g + j] = iq4_levels[b.nibbles[16 * g + j] & 15];
        u.q[32 * g + 16 + j] = iq4_levels[b.nibbles[16 * g + j] >> 4];
      }
    }
  }

  COTERIE_INLINE static void decode(const Block& b, float* w) { decode_unpacked<IQ4_XS>(b, w); }
  COTERIE_INLINE static float accumulate(const Block& b, const Activation* x, float acc) {
    return accumulate_unpacked<IQ4_XS>(b, x, acc);
  }
  COTERIE_INLINE static bool legal(const Block& b) { return is_finite(b.scale); }

  static void pack(const Integers& u, Block& b);
};

}  // namespace coterie
