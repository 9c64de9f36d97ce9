// Q4_1, 5 bits per weight: 32 weights share a scale and a minimum; weight = scale * q + min, q in [0, 15].
//
//   bytes 0..1    scale, half precision
//   bytes 2..3    min, half precision
//   bytes 4..19   byte 4 + j: weight j in the low nibble, weight j + 16 in the high nibble
#pragma once

#include "formats/integers.h"
#include "formats/shape.h"

namespace coterie {

struct Q4_1 {
  static constexpr const char* name = "Q4_1";
  static constexpr int gguf_id = 3;
  static constexpr int block_size = 32;
  static constexpr bool has_mins = true;
  static constexpr IntegerShape shape{.group = 32, .code_high = 15, .has_mins = true, .signed_mins = true};
  using Activation = Act32;
  using Integers = Integers32;

  struct Block {
    Half scale;
    Half min;
    std::uint8_t nibbles[16];
  };
  static_assert(sizeof(Block) == 20);

  COTERIE_INLINE static void unpack(const Block& b, Integers& u) {
    u.d = b.scale;
    u.m = b.min;
    for (int j = 0; j < 16; ++j) {
      u.q[j] = static_cast<std::int8_t>(b.nibbles[j] & 15);
      u.q[j + 16] = static_cast<std::int8_t>(b.nibbles[j] >> 4);
    }
  }

  COTERIE_INLINE static void decode(const Block& b, float* w) { decode_unpacked<Q4_1>(b, w); }
  COTERIE_INLINE static float accumulate(const Block& b, const Activation* x, float acc) {
    return accumulate_unpacked<Q4_1>(b, x, acc);
  }
  COTERIE_INLINE static bool legal(const Block& b) { return is_finite(b.scale) && is_finite(b.min); }

  static void pack(const Integers& u, Block& b);
};

}  // namespace coterie
