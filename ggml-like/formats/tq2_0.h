// TQ2_0, 2.06 bits per weight: 256 weights share one scale; weight = scale * (q - 1), q in {0, 1, 2} (3
// decodes as well).
//
//   bytes 0..63   byte 32 h + j (h < 2, j < 32): bits 2 k .. 2 k + 1 (k < 4) are weight 128 h + 32 k + j
//   bytes 64..65  scale, half precision
#pragma once

#include "formats/integers.h"

namespace coterie {

struct TQ2_0 {
  static constexpr const char* name = "TQ2_0";
  static constexpr int gguf_id = 35;
  static constexpr int block_size = 256;
  static constexpr bool has_mins = false;
  using Activation = Act256;
  using Integers = Integers256;

  struct Block {
    std::uint8_t codes[64];
    Half scale;
  };
  static_assert(sizeof(Block) == 66);

  COTERIE_INLINE static void unpack(const Block& b, Integers& u) {
    u.d = b.scale;
    for (int g = 0; g < 16; ++g) u.scales[g] = 1;
    for (int h = 0; h < 2; ++h)
      for (int k = 0; k < 4; ++k)
        for (int j = 0; j < 32; ++j)
          u.q[128 * h + 32 * k + j] = static_cast<std::int8_t>((b.codes[32 * h + j] >> (2 * k) & 3) - 1);
  }

  COTERIE_INLINE static void decode(const Block& b, float* w) { decode_unpacked<TQ2_0>(b, w); }
  COTERIE_INLINE static float accumulate(const Block& b, const Activation* x, float acc) {
    return accumulate_unpacked<TQ2_0>(b, x, acc);
  }
  COTERIE_INLINE static bool legal(const Block& b) { return is_finite(b.scale); }

  static void encode(const float* w, const float* importance, Block& b);  // w [256]
};

}  // namespace coterie
