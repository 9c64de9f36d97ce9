// IQ2_S, 2.56 bits per weight: 256 weights in 16 groups of 16, each with a 4-bit scale; eight weights are one
// of 1024 grid points (three levels) with eight signs; weight = (scale / 8 * (2 scales[g] + 1)) * +-level.
//
//   bytes 0..1    scale, half precision
//   bytes 2..33   byte 2 + k (k < 32): grid point of weights 8 k .. 8 k + 7, lower eight bits
//   bytes 34..65  byte 34 + k: their signs
//   bytes 66..73  byte 66 + k / 4, bits 2 (k % 4) .. 2 (k % 4) + 1: upper two bits of grid point k
//   bytes 74..81  byte 74 + i: scale 2 i in the low nibble, scale 2 i + 1 in the high nibble
#pragma once

#include "formats/grid.h"

namespace coterie {

extern const std::uint16_t iq2_s_grid[1024];

struct IQ2_S {
  static constexpr const char* name = "IQ2_S";
  static constexpr int gguf_id = 22;
  static constexpr int block_size = 256;
  static constexpr bool has_mins = false;
  using Activation = Act256;
  using Integers = Integers256;

  struct Block {
    Half scale;
    std::uint8_t points_low[32];
    std::uint8_t signs[32];
    std::uint8_t points_high[8];
    std::uint8_t scales[8];
  };
  static_assert(sizeof(Block) == 82);

  COTERIE_INLINE static void unpack(const Block& b, Integers& u) {
    u.d = b.scale * 0.125F;
    for (int g = 0; g < 16; ++g) u.scales[g] = odd_scale(b.scales[g / 2] >> (g % 2 * 4));
    for (int k = 0; k < 32; ++k) {
      const int high = b.points_high[k / 4] >> (k % 4 * 2) & 3;
      store_signed<8>(iq2_point(iq2_s_grid[b.points_low[k] | high << 8]), b.signs[k], u.q + 8 * k);
    }
  }

  COTERIE_INLINE static void decode(const Block& b, float* w) { decode_unpacked<IQ2_S>(b, w); }
  COTERIE_INLINE static float accumulate(const Block& b, const Activation* x, float acc) {
    return accumulate_unpacked<IQ2_S>(b, x, acc);
  }
  COTERIE_INLINE static bool legal(const Block& b) { return is_finite(b.scale); }

  static const CodebookShape shape;
  static void pack(const CodebookFit& fit, Block& b);};

}  // namespace coterie
