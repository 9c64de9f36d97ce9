// TQ1_0, 1.69 bits per weight: 256 weights share one scale; weight = scale * (q - 1), q in {0, 1, 2}. A byte
// holds five base-3 digits as a fraction of 256: the first digit is the integer part of 3 * byte / 256, and
// the rest moves up by multiplying with 3 modulo 256.
//
//   bytes 0..31   byte j: digit k (k < 5) is weight 32 k + j
//   bytes 32..47  byte 32 + j: digit k (k < 5) is weight 160 + 16 k + j
//   bytes 48..51  byte 48 + j: digit k (k < 4) is weight 240 + 4 k + j
//   bytes 52..53  scale, half precision
#pragma once

#include "formats/integers.h"

namespace coterie {

struct TQ1_0 {
  static constexpr const char* name = "TQ1_0";
  static constexpr int gguf_id = 34;
  static constexpr int block_size = 256;
  static constexpr bool has_mins = false;
  using Activation = Act256;
  using Integers = Integers256;

  struct Block {
    std::uint8_t digits[52];
    Half scale;
  };
  static_assert(sizeof(Block) == 54);

  COTERIE_INLINE static void unpack(const Block& b, Integers& u) {
    u.d = b.scale;
    for (int g = 0; g < 16; ++g) u.scales[g] = 1;
    unpack_digits(b.digits, 32, 5, u.q);
    unpack_digits(b.digits + 32, 16, 5, u.q + 160);
    unpack_digits(b.digits + 48, 4, 4, u.q + 240);
  }

  COTERIE_INLINE static void decode(const Block& b, float* w) { decode_unpacked<TQ1_0>(b, w); }
  COTERIE_INLINE static float accumulate(const Block& b, const Activation* x, float acc) {
    return accumulate_unpacked<TQ1_0>(b, x, acc);
  }

  // q[n_bytes * k + j] = digit k of byte j, less one.
  COTERIE_INLINE static void unpack_digits(const std::uint8_t* bytes, int n_bytes, int n_digits,
                                           std::int8_t* q) {
    for (int j = 0; j < n_bytes; ++j) {
      unsigned rest = bytes[j];
      for (int k = 0; k < n_digits; ++k) {
        q[n_bytes * k + j] = static_cast<std::int8_t>(static_cast<int>(rest * 3 >> 8) - 1);
        rest = rest * 3 & 255;
      }
    }
  }

  // Every byte decodes, those that no encoder writes (5 digits need 243 of the 256) as well.
  COTERIE_INLINE static bool legal(const Block& b) { return is_finite(b.scale); }

  static void encode(const float* w, const float* importance, Block& b);  // w [256]
};

}  // namespace coterie
