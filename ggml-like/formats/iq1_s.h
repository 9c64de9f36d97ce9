// IQ1_S, 1.56 bits per weight: 256 weights in eight groups of 32, each with a 3-bit scale and a sign of the
// offset; eight weights are one of 2048 grid points (levels -1, 0, 1); weight = (scale * (2 scales[g] + 1)) *
// (level +- 1/8). As integers: scale / 8 and 8 level +- 1.
//
//   bytes 0..1    scale, half precision
//   bytes 2..33   byte 2 + k (k < 32): grid point of weights 8 k .. 8 k + 7, lower eight bits
//   bytes 34..49  16 bits at 34 + 2 g: bits 3 k .. 3 k + 2 (k < 4) upper three bits of grid point 4 g + k,
//                 bits 12..14 scale g, bit 15 set where the offset is -1/8
#pragma once

#include "formats/grid.h"

namespace coterie {

extern const std::uint16_t iq1_grid[2048];  // of IQ1_S and IQ1_M
extern const CodebookBlocks iq1_blocks;

struct IQ1_S {
  static constexpr const char* name = "IQ1_S";
  static constexpr int gguf_id = 19;
  static constexpr int block_size = 256;
  static constexpr bool has_mins = false;
  using Activation = Act256;
  using Integers = Integers256;

  struct Block {
    Half scale;
    std::uint8_t points_low[32];
    std::uint16_t groups[8];
  };
  static_assert(sizeof(Block) == 50);

  COTERIE_INLINE static void unpack(const Block& b, Integers& u) {
    u.d = b.scale * 0.125F;
    for (int g = 0; g < 8; ++g) {
      const std::uint32_t bits = b.groups[g];
      u.scales[2 * g] = u.scales[2 * g + 1] = static_cast<std::int8_t>(2 * (bits >> 12 & 7) + 1);
      for (int k = 4 * g; k < 4 * g + 4; ++k)
        store_iq1_point(iq1_grid[b.points_low[k] | (bits >> (k % 4 * 3) & 7) << 8], bits >> 15 != 0,
                        u.q + 8 * k);
    }
  }

  COTERIE_INLINE static void decode(const Block& b, float* w) { decode_unpacked<IQ1_S>(b, w); }
  COTERIE_INLINE static float accumulate(const Block& b, const Activation* x, float acc) {
    return accumulate_unpacked<IQ1_S>(b, x, acc);
  }
  COTERIE_INLINE static bool legal(const Block& b) { return is_finite(b.scale); }

  static const CodebookShape shape;
  static void pack(const CodebookFit& fit, Block& b);};

}  // namespace coterie
