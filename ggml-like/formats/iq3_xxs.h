// IQ3_XXS, 3.06 bits per weight: 256 weights in eight groups of 32, each with a 4-bit scale; four weights are
// one of 256 grid points (eight levels); eight weights have seven signs, the eighth such that their number is
// even; weight = (scale / 4 * (2 scales[g] + 1)) * +-level.
//
//   bytes 0..1    scale, half precision
//   bytes 2..65   byte 2 + k (k < 64): grid point of weights 4 k .. 4 k + 3
//   bytes 66..97  32 bits at 66 + 4 g: bits 7 k .. 7 k + 6 signs of weights 32 g + 8 k .. 32 g + 8 k + 7,
//                 bits 28..31 scale g
#pragma once

#include "formats/grid.h"

namespace coterie {

extern const std::uint16_t iq3_xxs_grid[256];

struct IQ3_XXS {
  static constexpr const char* name = "IQ3_XXS";
  static constexpr int gguf_id = 18;
  static constexpr int block_size = 256;
  static constexpr bool has_mins = false;
  using Activation = Act256;
  using Integers = Integers256;

  struct Block {
    Half scale;
    std::uint8_t points[64];
    std::uint8_t signs_and_scales[8][4];
  };
  static_assert(sizeof(Block) == 98);

  COTERIE_INLINE static void unpack(const Block& b, Integers& u) {
    u.d = b.scale * 0.25F;
    for (int g = 0; g < 8; ++g) {
      const std::uint32_t bits = load_u32(b.signs_and_scales[g]);
      u.scales[2 * g] = u.scales[2 * g + 1] = static_cast<std::int8_t>(2 * (bits >> 28) + 1);
      for (int k = 0; k < 8; ++k) {
        const std::uint32_t signs = even_signs(bits >> (k / 2 * 7) & 127) >> (k % 2 * 4);
        store_signed<4>(iq3_xxs_point(iq3_xxs_grid[b.points[8 * g + k]]), signs, u.q + 32 * g + 4 * k);
      }
    }
  }

  COTERIE_INLINE static void decode(const Block& b, float* w) { decode_unpacked<IQ3_XXS>(b, w); }
  COTERIE_INLINE static float accumulate(const Block& b, const Activation* x, float acc) {
    return accumulate_unpacked<IQ3_XXS>(b, x, acc);
  }
  COTERIE_INLINE static bool legal(const Block& b) { return is_finite(b.scale); }

  static const CodebookShape shape;
  static void pack(const CodebookFit& fit, Block& b);};

}  // namespace coterie
