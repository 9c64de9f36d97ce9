// IQ3_S, 3.44 bits per weight: 256 weights in eight groups of 32, each with a 4-bit scale; four weights are
// one of 512 grid points (eight levels, 1 to 15) with four signs; weight = (scale * (2 scales[g] + 1)) *
// +-level.
//
//   bytes 0..1      scale, half precision
//   bytes 2..65     byte 2 + k (k < 64): grid point of weights 4 k .. 4 k + 3, lower eight bits
//   bytes 66..73    byte 66 + k / 8, bit k % 8: ninth bit of grid point k
//   bytes 74..105   byte 74 + i / 8, bit i % 8: sign of weight i
//   bytes 106..109  byte 106 + g / 2: scale g, low nibble for even g, high nibble for odd g
#pragma once

#include "formats/grid.h"

namespace coterie {

extern const std::uint16_t iq3_s_grid[512];

struct IQ3_S {
  static constexpr const char* name = "IQ3_S";
  static constexpr int gguf_id = 21;
  static constexpr int block_size = 256;
  static constexpr bool has_mins = false;
  using Activation = Act256;
  using Integers = Integers256;

  struct Block {
    Half scale;
    std::uint8_t points_low[64];
    std::uint8_t points_high[8];
    std::uint8_t signs[32];
    std::uint8_t scales[4];
  };
  static_assert(sizeof(Block) == 110);

  COTERIE_INLINE static void unpack(const Block& b, Integers& u) {
    u.d = b.scale;
    for (int g = 0; g < 8; ++g)
      u.scales[2 * g] = u.scales[2 * g + 1] = odd_scale(b.scales[g / 2] >> (g % 2 * 4));
    for (int k = 0; k < 64; ++k) {
      const int high = b.points_high[k / 8] >> (k % 8) & 1;
      store_signed<4>(iq3_s_point(iq3_s_grid[b.points_low[k] | high << 8]),
                      static_cast<std::uint32_t>(b.signs[k / 2] >> (k % 2 * 4)), u.q + 4 * k);
    }
  }

  COTERIE_INLINE static void decode(const Block& b, float* w) { decode_unpacked<IQ3_S>(b, w); }
  COTERIE_INLINE static float accumulate(const Block& b, const Activation* x, float acc) {
    return accumulate_unpacked<IQ3_S>(b, x, acc);
  }
  COTERIE_INLINE static bool legal(const Block& b) { return is_finite(b.scale); }

  static const CodebookShape shape;
  static void pack(const CodebookFit& fit, Block& b);};

}  // namespace coterie
