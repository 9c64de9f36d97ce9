// Q4_0, 4.5 bits per weight: 32 weights share one scale; weight = scale * (q - 8), q in [0, 15].
//
//   bytes 0..1    scale, half precision
//   bytes 2..17   byte j: weight j in the low nibble, weight j + 16 in the high nibble
#pragma once

#include "formats/integers.h"
#include "formats/shape.h"

namespace coterie {

struct Q4_0 {
  static constexpr const char* name = "Q4_0";
  static constexpr int gguf_id = 2;
  static constexpr int block_size = 32;
  static constexpr bool has_mins = false;
  static constexpr IntegerShape shape{.group = 32, .code_low = -8, .code_high = 7};
  using Activation = Act32;
  using Integers = Integers32;

  struct Block {
    Half scale;
    std::uint8_t nibbles[16];
  };
  static_assert(sizeof(Block) == 18);

  COTERIE_INLINE static void unpack(const Block& b, Integers& u) {
    u.d = b.scale;
    for (int j = 0; j < 16; ++j) {
      u.q[j] = static_cast<std::int8_t>((b.nibbles[j] & 15) - 8);
      u.q[j + 16] = static_cast<std::int8_t>((b.nibbles[j] >> 4) - 8);
    }
  }

  COTERIE_INLINE static void decode(const Block& b, float* w) { decode_unpacked<Q4_0>(b, w); }
  COTERIE_INLINE static float accumulate(const Block& b, const Activation* x, float acc) {
    return accumulate_unpacked<Q4_0>(b, x, acc);
  }

  // Every bit pattern of the nibbles is a weight; only the scale can be no number.
  COTERIE_INLINE static bool legal(const Block& b) { return is_finite(b.scale); }

  static void pack(const Integers& u, Block& b);
};

}  // namespace coterie
