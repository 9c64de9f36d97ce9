// Q5_1, 6 bits per weight: 32 weights share a scale and a minimum; weight = scale * q + min, q in [0, 31].
//
//   bytes 0..1    scale, half precision
//   bytes 2..3    min, half precision
//   bytes 4..7    fifth bits: bit i % 8 of byte 4 + i / 8 belongs to weight i
//   bytes 8..23   byte 8 + j: weight j in the low nibble, weight j + 16 in the high nibble
#pragma once

#include "formats/five_bits.h"
#include "formats/shape.h"

namespace coterie {

struct Q5_1 {
  static constexpr const char* name = "Q5_1";
  static constexpr int gguf_id = 7;
  static constexpr int block_size = 32;
  static constexpr bool has_mins = true;
  static constexpr IntegerShape shape{.group = 32, .code_high = 31, .has_mins = true, .signed_mins = true};
  using Activation = Act32;
  using Integers = Integers32;

  struct Block {
    Half scale;
    Half min;
    std::uint8_t fifth[4];
    std::uint8_t nibbles[16];
  };
  static_assert(sizeof(Block) == 24);

  COTERIE_INLINE static void unpack(const Block& b, Integers& u) {
    u.d = b.scale;
    u.m = b.min;
    for (int i = 0; i < 32; ++i) u.q[i] = static_cast<std::int8_t>(five_bit_code(b.nibbles, b.fifth, i));
  }

  COTERIE_INLINE static void decode(const Block& b, float* w) { decode_unpacked<Q5_1>(b, w); }
  COTERIE_INLINE static float accumulate(const Block& b, const Activation* x, float acc) {
    return accumulate_unpacked<Q5_1>(b, x, acc);
  }
  COTERIE_INLINE static bool legal(const Block& b) { return is_finite(b.scale) && is_finite(b.min); }

  static void pack(const Integers& u, Block& b);
};

}  // namespace coterie
