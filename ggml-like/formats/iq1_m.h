// IQ1_M, 1.75 bits per weight: 256 weights in 16 groups of 16, each with a 3-bit scale; eight weights are one
// of 2048 grid points (levels -1, 0, 1) with a sign of the offset; weight = (scale * (2 scales[g] + 1)) *
// (level +- 1/8). As integers: scale / 8 and 8 level +- 1. The scale has no bytes of its own.
//
//   bytes 0..31   byte k (k < 32): grid point of weights 8 k .. 8 k + 7, lower eight bits
//   bytes 32..47  byte 32 + k / 2, low nibble for even k, high nibble for odd k:
//                 bits 0..2 upper three bits of grid point k,
//                 bit 3 set where the offset is -1/8
//   bytes 48..55  16 bits at 48 + 2 i (i < 4): bits 3 k .. 3 k + 2 (k < 4) scale 4 i + k,
//                 bits 12..15: bits 4 i .. 4 i + 3 of the scale, half precision
#pragma once

#include "formats/iq1_s.h"

namespace coterie {

struct IQ1_M {
  static constexpr const char* name = "IQ1_M";
  static constexpr int gguf_id = 29;
  static constexpr int block_size = 256;
  static constexpr bool has_mins = false;
  using Activation = Act256;
  using Integers = Integers256;

  struct Block {
    std::uint8_t points_low[32];
    std::uint8_t points_high[16];
    std::uint16_t scales[4];
  };
  static_assert(sizeof(Block) == 56);

  COTERIE_INLINE static void unpack(const Block& b, Integers& u) {
    u.d = scale_of(b) * 0.125F;
    for (int g = 0; g < 16; ++g)
      u.scales[g] = static_cast<std::int8_t>(2 * (b.scales[g / 4] >> (g % 4 * 3) & 7) + 1);
    for (int k = 0; k < 32; ++k) {
      const std::uint32_t bits = static_cast<std::uint32_t>(b.points_high[k / 2] >> (k % 2 * 4));
      store_iq1_point(iq1_grid[b.points_low[k] | (bits & 7) << 8], (bits & 8) != 0, u.q + 8 * k);
    }
  }

  COTERIE_INLINE static void decode(const Block& b, float* w) { decode_unpacked<IQ1_M>(b, w); }
  COTERIE_INLINE static float accumulate(const Block& b, const Activation* x, float acc) {
    return accumulate_unpacked<IQ1_M>(b, x, acc);
  }

  COTERIE_INLINE static Half scale_of(const Block& b) {
    unsigned bits = 0;
    for (int i = 0; i < 4; ++i) bits |= static_cast<unsigned>(b.scales[i] >> 12) << (4 * i);
    return {static_cast<std::uint16_t>(bits)};
  }

  COTERIE_INLINE static bool legal(const Block& b) { return is_finite(scale_of(b)); }

  static const CodebookShape shape;
  static void pack(const CodebookFit& fit, Block& b);
};

}  // namespace coterie
