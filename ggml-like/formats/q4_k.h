// Q4_K, 4.5 bits per weight: 256 weights in eight groups of 32, each with a 6-bit scale and a 6-bit minimum;
// weight = (scale * scales[g]) * q - min * mins[g], q in [0, 15].
//
//   bytes 0..1     scale of the scales, half precision
//   bytes 2..3     scale of the minima, half precision
//   bytes 4..15    scales and minima (k_scales.h)
//   bytes 16..143  byte 16 + 32 c + j (c < 4): weight 64 c + j in the low nibble,
//                  weight 64 c + 32 + j in the high nibble
#pragma once

#include "formats/k_scales.h"
#include "formats/shape.h"

namespace coterie {

struct Q4_K {
  static constexpr const char* name = "Q4_K";
  static constexpr int gguf_id = 12;
  static constexpr int block_size = 256;
  static constexpr bool has_mins = true;
  static constexpr IntegerShape shape{.group = 32, .code_high = 15, .scale_high = 63, .has_mins = true};
  using Activation = Act256;
  using Integers = Integers256;

  struct Block {
    Half scale;
    Half min;
    std::uint8_t scales[12];
    std::uint8_t nibbles[128];
  };
  static_assert(sizeof(Block) == 144);

  COTERIE_INLINE static void unpack(const Block& b, Integers& u) {
    u.d = b.scale;
    u.dmin = b.min;
    unpack_k_scales(b.scales, u);
    for (int c = 0; c < 4; ++c)
      for (int j = 0; j < 32; ++j) {
        u.q[64 * c + j] = static_cast<std::int8_t>(b.nibbles[32 * c + j] & 15);
        u.q[64 * c + 32 + j] = static_cast<std::int8_t>(b.nibbles[32 * c + j] >> 4);
      }
  }

  COTERIE_INLINE static void decode(const Block& b, float* w) { decode_unpacked<Q4_K>(b, w); }
  COTERIE_INLINE static float accumulate(const Block& b, const Activation* x, float acc) {
    return accumulate_unpacked<Q4_K>(b, x, acc);
  }
  COTERIE_INLINE static bool legal(const Block& b) { return is_finite(b.scale) && is_finite(b.min); }

  static void pack(const Integers& u, Block& b);
};

}  // namespace coterie
