// Blocks of 32 and 64 weights on NEON: two or four registers of signed codes.
#pragma once

#include "formats/iq4_nl.h"
#include "formats/mxfp4.h"
#include "formats/nvfp4.h"
#include "formats/q4_0.h"
#include "formats/q4_1.h"
#include "formats/q5_0.h"
#include "formats/q5_1.h"
#include "formats/q8_0.h"
#include "kernels/arm/neon.h"

namespace coterie {

struct NeonBlock32 {
  int8x16_t q[2];
  float d;
  float m;
};

struct NeonBlock64 {
  int8x16_t q[4];
  float d[4];
};

template <class F>
struct NeonUnpack32;

// Low nibbles are the first sixteen weights, high nibbles the last.
COTERIE_INLINE void set_nibbles(const std::uint8_t* nibbles, int offset, NeonBlock32& u) {
  const uint8x16_t v = load16(nibbles);
  u.q[0] = vsubq_s8(as_signed(bits_at<0, 4>(v)), vdupq_n_s8(static_cast<std::int8_t>(offset)));
  u.q[1] = vsubq_s8(as_signed(bits_at<4, 4>(v)), vdupq_n_s8(static_cast<std::int8_t>(offset)));
}
COTERIE_INLINE void set_levels(const std::int8_t* levels, const std::uint8_t* nibbles, NeonBlock32& u) {
  const uint8x16_t v = load16(nibbles);
  u.q[0] = vqtbl1q_s8(vld1q_s8(levels), bits_at<0, 4>(v));
  u.q[1] = vqtbl1q_s8(vld1q_s8(levels), bits_at<4, 4>(v));
}
// Adds 16 where a bit is set.
COTERIE_INLINE void set_fifth_bits(const std::uint8_t* bits, NeonBlock32& u) {
  const uint8x16_t bit = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201U));
  for (int i = 0; i < 2; ++i) {
    const uint8x16_t byte = vcombine_u8(vdup_n_u8(bits[2 * i]), vdup_n_u8(bits[2 * i + 1]));
    u.q[i] = vaddq_s8(u.q[i], vandq_s8(as_signed(vtstq_u8(byte, bit)), vdupq_n_s8(16)));
  }
}

template <>
struct NeonUnpack32<Q8_0> {
  COTERIE_INLINE static void run(const Q8_0::Block& b, NeonBlock32& u) {
    u.d = half(b.scale);
    u.q[0] = vld1q_s8(b.q);
    u.q[1] = vld1q_s8(b.q + 16);
  }
};

template <>
struct NeonUnpack32<Q4_0> {
  COTERIE_INLINE static void run(const Q4_0::Block& b, NeonBlock32& u) {
    u.d = half(b.scale);
    set_nibbles(b.nibbles, 8, u);
  }
};

template <>
struct NeonUnpack32<Q4_1> {
  COTERIE_INLINE static void run(const Q4_1::Block& b, NeonBlock32& u) {
    u.d = half(b.scale);
    u.m = half(b.min);
    set_nibbles(b.nibbles, 0, u);
  }
};

template <>
struct NeonUnpack32<Q5_0> {
  COTERIE_INLINE static void run(const Q5_0::Block& b, NeonBlock32& u) {
    u.d = half(b.scale);
    set_nibbles(b.nibbles, 16, u);
    set_fifth_bits(b.fifth, u);
  }
};

template <>
struct NeonUnpack32<Q5_1> {
  COTERIE_INLINE static void run(const Q5_1::Block& b, NeonBlock32& u) {
    u.d = half(b.scale);
    u.m = half(b.min);
    set_nibbles(b.nibbles, 0, u);
    set_fifth_bits(b.fifth, u);
  }
};

template <>
struct NeonUnpack32<IQ4_NL> {
  COTERIE_INLINE static void run(const IQ4_NL::Block& b, NeonBlock32& u) {
    u.d = half(b.scale);
    set_levels(iq4_levels, b.nibbles, u);
  }
};

template <>
struct NeonUnpack32<MXFP4> {
  COTERIE_INLINE static void run(const MXFP4::Block& b, NeonBlock32& u) {
    u.d = MXFP4::power_of(b.exponent);
    set_levels(e2m1_levels, b.nibbles, u);
  }
};

COTERIE_INLINE void unpack_nvfp4(const NVFP4::Block& b, NeonBlock64& u) {
  const int8x16_t levels = vld1q_s8(e2m1_levels);
  for (int g = 0; g < 4; ++g) {
    u.d[g] = NVFP4::half_of_scale(b.scales[g]);
    const uint8x8_t v = vld1_u8(b.nibbles + 8 * g);
    u.q[g] = vqtbl1q_s8(levels, vcombine_u8(vand_u8(v, vdup_n_u8(15)), vshr_n_u8(v, 4)));
  }
}

}  // namespace coterie
