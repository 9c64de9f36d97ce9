// Q4_0, 4.5 bits per weight: 32 weights share one scale; weight = scale * (q - 8), q in [0, 15].
//
//   bytes 0..1    scale, half precision
//   bytes 2..17   byte j: weight j in the low nibble, weight j + 16 in the high nibble
#pragma once

#include "base/half.h"
#include "formats/activation.h"

#include <cmath>
#include <cstdint>

namespace coterie {

struct Q4_0 {
  static constexpr const char* name = "Q4_0";
  static constexpr int gguf_id = 2;
  static constexpr int block_size = 32;
  using Activation = Act32;

  struct Block {
    Half scale;
    std::uint8_t nibbles[16];
  };
  static_assert(sizeof(Block) == 18);

  COTERIE_INLINE static void decode(const Block& b, float* w) {
    const float scale = b.scale;
    for (int j = 0; j < 16; ++j) {
      w[j] = scale * static_cast<float>((b.nibbles[j] & 15) - 8);
      w[j + 16] = scale * static_cast<float>((b.nibbles[j] >> 4) - 8);
    }
  }

  // acc + block . x by the numeric contract: one exact integer sum, one fma.
  COTERIE_INLINE static float accumulate(const Block& b, const Act32* x, float acc) {
    std::int32_t isum = 0;
    for (int j = 0; j < 16; ++j)
      isum += ((b.nibbles[j] & 15) - 8) * x->q[j] + ((b.nibbles[j] >> 4) - 8) * x->q[j + 16];
    return std::fma(static_cast<float>(b.scale) * x->scale, static_cast<float>(isum), acc);
  }

  // Every bit pattern of the nibbles is a weight; only the scale can be no number.
  COTERIE_INLINE static bool legal(const Block& b) { return std::isfinite(static_cast<float>(b.scale)); }

  static void encode(const float* w, Block& b);  // w [32]; the largest magnitude lands on q = 0
};

}  // namespace coterie
