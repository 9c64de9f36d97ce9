// IQ2_XS, 2.31 bits per weight: 256 weights in 16 groups of 16, each with a 4-bit scale; eight weights are
// one of 512 grid points (three levels) with signs, the eighth sign such that their number is even; weight =
// (scale / 8 * (2 scales[g] + 1)) * +-level.
//
//   bytes 0..1    scale, half precision
//   bytes 2..65   16 bits at 2 + 2 k (k < 32): bits 0..8 grid point of weights 8 k .. 8 k + 7, 9..15 signs
//   bytes 66..73  byte 66 + i: scale 2 i in the low nibble, scale 2 i + 1 in the high nibble
#pragma once

#include "formats/grid.h"

namespace coterie {

extern const std::uint16_t iq2_xs_grid[512];

struct IQ2_XS {
  static constexpr const char* name = "IQ2_XS";
  static constexpr int gguf_id = 17;
  static constexpr int block_size = 256;
  static constexpr bool has_mins = false;
  using Activation = Act256;
  using Integers = Integers256;

  struct Block {
    Half scale;
    std::uint16_t points[32];
    std::uint8_t scales[8];
  };
  static_assert(sizeof(Block) == 74);

  COTERIE_INLINE static void unpack(const Block& b, Integers& u) {
    u.d = b.scale * 0.125F;
    for (int g = 0; g < 16; ++g) u.scales[g] = odd_scale(b.scales[g / 2] >> (g % 2 * 4));
    for (int k = 0; k < 32; ++k)
      store_signed<8>(iq2_point(iq2_xs_grid[b.points[k] & 511U]), even_signs(b.points[k] >> 9), u.q + 8 * k);
  }

  COTERIE_INLINE static void decode(const Block& b, float* w) { decode_unpacked<IQ2_XS>(b, w); }
  COTERIE_INLINE static float accumulate(const Block& b, const Activation* x, float acc) {
    return accumulate_unpacked<IQ2_XS>(b, x, acc);
  }
  COTERIE_INLINE static bool legal(const Block& b) { return is_finite(b.scale); }

  static const CodebookShape shape;
  static void pack(const CodebookFit& fit, Block& b);};

}  // namespace coterie
