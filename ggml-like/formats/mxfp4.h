// MXFP4, 4.25 bits per weight: 32 weights of 4 bits (e2m1) share a power of two (e8m0), as in the OCP
// Microscaling specification; weight = 2^(exponent - 128) * e2m1_levels[q], the levels being twice the e2m1
// values.
//
//   byte 0        exponent
//   bytes 1..16   byte 1 + j: weight j in the low nibble, weight j + 16 in the high nibble
#pragma once

#include "formats/integers.h"

namespace coterie {

extern const std::int8_t e2m1_levels[16];  // of MXFP4 and NVFP4

struct MXFP4 {
  static constexpr const char* name = "MXFP4";
  static constexpr int gguf_id = 39;
  static constexpr int block_size = 32;
  static constexpr bool has_mins = false;
  using Activation = Act32;
  using Integers = Integers32;

  struct Block {
    std::uint8_t exponent;
    std::uint8_t nibbles[16];
  };
  static_assert(sizeof(Block) == 17);

  COTERIE_INLINE static void unpack(const Block& b, Integers& u) {
    u.d = power_of(b.exponent);
    for (int j = 0; j < 16; ++j) {
      u.q[j] = e2m1_levels[b.nibbles[j] & 15];
      u.q[j + 16] = e2m1_levels[b.nibbles[j] >> 4];
    }
  }

  COTERIE_INLINE static void decode(const Block& b, float* w) { decode_unpacked<MXFP4>(b, w); }
  COTERIE_INLINE static float accumulate(const Block& b, const Activation* x, float acc) {
    return accumulate_unpacked<MXFP4>(b, x, acc);
  }

  // 2^(exponent - 128); the two smallest are subnormal.
  COTERIE_INLINE static float power_of(std::uint32_t exponent) {
    return float_of(exponent < 2 ? 0x00200000U << exponent : (exponent - 1) << 23);
  }

  // Up to 2^40, which is beyond the weights of any model and the reach of the encoder. 255 is no number; with 253 or
  // 254 the largest code is beyond float; and from about 2^67 on a block of zeros is no sound one either: its scale
  // times that of moderate activations is infinite, and infinity times zero is no number.
  COTERIE_INLINE static bool legal(const Block& b) { return b.exponent <= 168; }
};

}  // namespace coterie
