// Q6_K, 6.56 bits per weight: 256 weights in 16 groups of 16, each with a signed 8-bit scale;
// weight = (scale * scales[g]) * (q - 32), q in [0, 63].
//
//   bytes 0..127    lower four bits: half h (h < 2) has bytes 64 h .. 64 h + 63; j < 32:
//                   byte j holds weight 128 h + j (low nibble) and 128 h + 64 + j (high nibble),
//                   byte 32 + j holds weight 128 h + 32 + j and 128 h + 96 + j
//   bytes 128..191  upper two bits: byte 128 + 32 h + j, bits 2 k .. 2 k + 1 (k < 4): weight 128 h + 32 k + j
//   bytes 192..207  scales, signed
//   bytes 208..209  scale of the scales, half precision
#pragma once

#include "formats/integers.h"
#include "formats/shape.h"

namespace coterie {

struct Q6_K {
  static constexpr const char* name = "Q6_K";
  static constexpr int gguf_id = 14;
  static constexpr int block_size = 256;
  static constexpr bool has_mins = false;
  static constexpr IntegerShape shape{.code_low = -32, .code_high = 31, .scale_low = -128, .scale_high = 127};
  using Activation = Act256;
  using Integers = Integers256;

  struct Block {
    std::uint8_t low[128];
    std::uint8_t high[64];
    std::int8_t scales[16];
    Half scale;
  };
  static_assert(sizeof(Block) == 210);

  COTERIE_INLINE static void unpack(const Block& b, Integers& u) {
    u.d = b.scale;
    for (int g = 0; g < 16; ++g) u.scales[g] = b.scales[g];
    for (int h = 0; h < 2; ++h)
      for (int k = 0; k < 4; ++k)
        for (int j = 0; j < 32; ++j) {
          const int low = b.low[64 * h + 32 * (k % 2) + j] >> (k / 2 * 4) & 15;
          const int high = b.high[32 * h + j] >> (2 * k) & 3;
          u.q[128 * h + 32 * k + j] = static_cast<std::int8_t>((low | high << 4) - 32);
        }
  }

  COTERIE_INLINE static void decode(const Block& b, float* w) { decode_unpacked<Q6_K>(b, w); }
  COTERIE_INLINE static float accumulate(const Block& b, const Activation* x, float acc) {
    return accumulate_unpacked<Q6_K>(b, x, acc);
  }
  COTERIE_INLINE static bool legal(const Block& b) { return is_finite(b.scale); }

  static void pack(const Integers& u, Block& b);
};

}  // namespace coterie
