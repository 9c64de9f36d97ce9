// IQ2_XXS, 2.06 bits per weight: 256 weights in eight groups of 32, each with a 4-bit scale; eight weights
// are one of 256 grid points (three levels) with signs, the eighth sign such that their number is even;
// weight = (scale / 8 * (2 scales[g] + 1)) * +-level.
//
//   bytes 0..1    scale, half precision
//   bytes 2..65   group g: bytes 2 + 8 g + k (k < 4): grid point of weights 32 g + 8 k .. 32 g + 8 k + 7
//                          bytes 6 + 8 g ..: 32 bits, bits 7 k .. 7 k + 6 their signs, bits 28..31 the scale
#pragma once

#include "formats/grid.h"

namespace coterie {

extern const std::uint16_t iq2_xxs_grid[256];

struct IQ2_XXS {
  static constexpr const char* name = "IQ2_XXS";
  static constexpr int gguf_id = 16;
  static constexpr int block_size = 256;
  static constexpr bool has_mins = false;
  using Activation = Act256;
  using Integers = Integers256;

  struct Block {
    Half scale;
    struct {
      std::uint8_t points[4];
      std::uint8_t signs_and_scale[4];
    } groups[8];
  };
  static_assert(sizeof(Block) == 66);

  COTERIE_INLINE static void unpack(const Block& b, Integers& u) {
    u.d = b.scale * 0.125F;
    for (int g = 0; g < 8; ++g) {
      const std::uint32_t bits = load_u32(b.groups[g].signs_and_scale);
      u.scales[2 * g] = u.scales[2 * g + 1] = static_cast<std::int8_t>(2 * (bits >> 28) + 1);
      for (int k = 0; k < 4; ++k)
        store_signed<8>(iq2_point(iq2_xxs_grid[b.groups[g].points[k]]), even_signs(bits >> (7 * k) & 127),
                        u.q + 32 * g + 8 * k);
    }
  }

  COTERIE_INLINE static void decode(const Block& b, float* w) { decode_unpacked<IQ2_XXS>(b, w); }
  COTERIE_INLINE static float accumulate(const Block& b, const Activation* x, float acc) {
    return accumulate_unpacked<IQ2_XXS>(b, x, acc);
  }
  COTERIE_INLINE static bool legal(const Block& b) { return is_finite(b.scale); }

  static const CodebookShape shape;
  static void pack(const CodebookFit& fit, Block& b);};

}  // namespace coterie
