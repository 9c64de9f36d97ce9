// NVFP4, 4.5 bits per weight: 64 weights of 4 bits (e2m1) in four groups of 16, each with a scale in unsigned
// e4m3; weight = scales[g] / 2 * e2m1_levels[q], the levels being twice the e2m1 values.
//
//   bytes 0..3    scales
//   bytes 4..35   byte 4 + 8 g + j (j < 8): weight 16 g + j in the low nibble,
//                 weight 16 g + 8 + j in the high nibble
#pragma once

#include "base/fp8.h"
#include "formats/mxfp4.h"

namespace coterie {

struct NVFP4 {
  static constexpr const char* name = "NVFP4";
  static constexpr int gguf_id = 40;
  static constexpr int block_size = 64;
  static constexpr bool has_mins = false;
  using Activation = Act32;
  using Integers = Integers64;

  struct Block {
    std::uint8_t scales[4];
    std::uint8_t nibbles[32];
  };
  static_assert(sizeof(Block) == 36);

  COTERIE_INLINE static void unpack(const Block& b, Integers& u) {
    for (int g = 0; g < 4; ++g) {
      u.d[g] = half_of_scale(b.scales[g]);
      for (int j = 0; j < 8; ++j) {
        u.q[16 * g + j] = e2m1_levels[b.nibbles[8 * g + j] & 15];
        u.q[16 * g + 8 + j] = e2m1_levels[b.nibbles[8 * g + j] >> 4];
      }
    }
  }

  COTERIE_INLINE static void decode(const Block& b, float* w) { decode_unpacked<NVFP4>(b, w); }
  COTERIE_INLINE static float accumulate(const Block& b, const Activation* x, float acc) {
    return accumulate_unpacked<NVFP4>(b, x, acc);
  }

  // ggml reads the NaN as zero and ignores the sign.
  COTERIE_INLINE static float half_of_scale(std::uint8_t e4m3) {
    return e4m3 == 0x7f ? 0.0F : 0.5F * e4m3_magnitude(e4m3);
  }

  // No NaN (0x7f) and no sign among the scales.
  COTERIE_INLINE static bool legal(const Block& b) {
    return (b.scales[0] < 0x7f) & (b.scales[1] < 0x7f) & (b.scales[2] < 0x7f) & (b.scales[3] < 0x7f);
  }
};

}  // namespace coterie
