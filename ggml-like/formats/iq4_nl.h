// IQ4_NL, 4.5 bits per weight: 32 weights share one scale; weight = scale * iq4_levels[q], q in [0, 15]. The
// sixteen levels lie closer together near zero, as weights do.
//
//   bytes 0..1    scale, half precision
//   bytes 2..17   byte 2 + j: weight j in the low nibble, weight j + 16 in the high nibble
#pragma once

#include "formats/integers.h"
#include "formats/shape.h"

namespace coterie {

extern const std::int8_t iq4_levels[16];                                // of IQ4_NL and IQ4_XS
void pack_iq4_codes(const std::int8_t* levels, std::uint8_t* nibbles);  // 32 levels to 16 bytes

struct IQ4_NL {
  static constexpr const char* name = "IQ4_NL";
  static constexpr int gguf_id = 20;
  static constexpr int block_size = 32;
  static constexpr bool has_mins = false;
  static constexpr IntegerShape shape{.group = 32, .code_low = -127, .code_high = 113, .iq4 = true};
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
      u.q[j] = iq4_levels[b.nibbles[j] & 15];
      u.q[j + 16] = iq4_levels[b.nibbles[j] >> 4];
    }
  }

  COTERIE_INLINE static void decode(const Block& b, float* w) { decode_unpacked<IQ4_NL>(b, w); }
  COTERIE_INLINE static float accumulate(const Block& b, const Activation* x, float acc) {
    return accumulate_unpacked<IQ4_NL>(b, x, acc);
  }
  COTERIE_INLINE static bool legal(const Block& b) { return is_finite(b.scale); }

  static void pack(const Integers& u, Block& b);
};

}  // namespace coterie
