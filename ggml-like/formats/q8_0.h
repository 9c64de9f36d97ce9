// Q8_0, 8.5 bits per weight: 32 weights share one scale; weight = scale * q, q in [-127, 127] (-128 decodes
// as well).
//
//   bytes 0..1    scale, half precision
//   bytes 2..33   byte 2 + j: weight j, signed
#pragma once

#include "formats/integers.h"
#include "formats/shape.h"

namespace coterie {

struct Q8_0 {
  static constexpr const char* name = "Q8_0";
  static constexpr int gguf_id = 8;
  static constexpr int block_size = 32;
  static constexpr bool has_mins = false;
  static constexpr IntegerShape shape{.group = 32, .code_low = -127, .code_high = 127};
  using Activation = Act32;
  using Integers = Integers32;

  struct Block {
    Half scale;
    std::int8_t q[32];
  };
  static_assert(sizeof(Block) == 34);

  COTERIE_INLINE static void unpack(const Block& b, Integers& u) {
    u.d = b.scale;
    for (int j = 0; j < 32; ++j) u.q[j] = b.q[j];
  }

  COTERIE_INLINE static void decode(const Block& b, float* w) { decode_unpacked<Q8_0>(b, w); }
  COTERIE_INLINE static float accumulate(const Block& b, const Activation* x, float acc) {
    return accumulate_unpacked<Q8_0>(b, x, acc);
  }
  COTERIE_INLINE static bool legal(const Block& b) { return is_finite(b.scale); }

  static void pack(const Integers& u, Block& b);
};

}  // namespace coterie
