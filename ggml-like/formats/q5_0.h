// Q5_0, 5.5 bits per weight: 32 weights share one scale; weight = scale * (q - 16), q in [0, 31].
//
//   bytes 0..1    scale, half precision
//   bytes 2..5    fifth bits: bit i % 8 of byte 2 + i / 8 belongs to weight i
//   bytes 6..21   byte 6 + j: weight j in the low nibble, weight j + 16 in the high nibble
#pragma once

#include "formats/five_bits.h"
#include "formats/shape.h"

namespace coterie {

struct Q5_0 {
  static constexpr const char* name = "Q5_0";
  static constexpr int gguf_id = 6;
  static constexpr int block_size = 32;
  static constexpr bool has_mins = false;
  static constexpr IntegerShape shape{.group = 32, .code_low = -16, .code_high = 15};
  using Activation = Act32;
  using Integers = Integers32;

  struct Block {
    Half scale;
    std::uint8_t fifth[4];
    std::uint8_t nibbles[16];
  };
  static_assert(sizeof(Block) == 22);

  COTERIE_INLINE static void unpack(const Block& b, Integers& u) {
    u.d = b.scale;
    for (int i = 0; i < 32; ++i) u.q[i] = static_cast<std::int8_t>(five_bit_code(b.nibbles, b.fifth, i) - 16);
  }

  COTERIE_INLINE static void decode(const Block& b, float* w) { decode_unpacked<Q5_0>(b, w); }
  COTERIE_INLINE static float accumulate(const Block& b, const Activation* x, float acc) {
    return accumulate_unpacked<Q5_0>(b, x, acc);
  }
  COTERIE_INLINE static bool legal(const Block& b) { return is_finite(b.scale); }

  static void pack(const Integers& u, Block& b);
};

}  // namespace coterie
