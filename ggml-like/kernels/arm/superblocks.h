// Superblocks (256 weights) on NEON: sixteen registers of signed codes, sixteen scales, sixteen minima. The
// bytes are drawn in formats/q2_k.h and so on.
#pragma once

#include "formats/iq4_xs.h"
#include "formats/q2_k.h"
#include "formats/q3_k.h"
#include "formats/q4_k.h"
#include "formats/q5_k.h"
#include "formats/q6_k.h"
#include "formats/tq1_0.h"
#include "formats/tq2_0.h"
#include "kernels/arm/neon.h"

namespace coterie {

struct NeonBlock256 {
  int8x16_t q[16];
  int8x16_t scales;
  int8x16_t mins;
  float d;
  float m;
};

// The general version.
template <class F>
struct NeonUnpack256 {
  COTERIE_INLINE static void run(const typename F::Block& b, NeonBlock256& u) {
    Integers256 integers;
    F::unpack(b, integers);
    for (int i = 0; i < 16; ++i) u.q[i] = vld1q_s8(integers.q + 16 * i);
    u.scales = vld1q_s8(integers.scales);
    u.d = integers.d;
    if constexpr (F::has_mins) {
      u.mins = vld1q_s8(integers.mins);
      u.m = integers.dmin;
    }
  }
};

// Eight bytes, each twice: a group of 32 is two of 16.
COTERIE_INLINE int8x16_t twice_each(std::uint32_t low, std::uint32_t high) {
  const uint8x8_t bytes = vcreate_u8(static_cast<std::uint64_t>(high) << 32 | low);
  return as_signed(vcombine_u8(vzip1_u8(bytes, bytes), vzip2_u8(bytes, bytes)));
}

COTERIE_INLINE void unpack_k_scales(const std::uint8_t* bytes, NeonBlock256& u) {
  const KScales k = k_scales_by_four(bytes);
  u.scales = twice_each(k.scales[0], k.scales[1]);
  u.mins = twice_each(k.mins[0], k.mins[1]);
}

template <>
struct NeonUnpack256<Q4_K> {
  COTERIE_INLINE static void run(const Q4_K::Block& b, NeonBlock256& u) {
    u.d = half(b.scale);
    u.m = half(b.min);
    unpack_k_scales(b.scales, u);
    each<8>([&](auto i) {
      const uint8x16_t v = load16(b.nibbles + 16 * i);
      constexpr int at = i / 2 * 4 + i % 2;
      u.q[at] = as_signed(bits_at<0, 4>(v));
      u.q[at + 2] = as_signed(bits_at<4, 4>(v));
    });
  }
};

template <>
struct NeonUnpack256<Q5_K> {
  COTERIE_INLINE static void run(const Q5_K::Block& b, NeonBlock256& u) {
    u.d = half(b.scale);
    u.m = half(b.min);
    unpack_k_scales(b.scales, u);
    each<8>([&](auto i) {
      const uint8x16_t v = load16(b.nibbles + 16 * i);
      const uint8x16_t fifth = load16(b.fifth + 16 * (i % 2));
      constexpr int at = i / 2 * 4 + i % 2;
      constexpr int bit = i / 2 * 2;
      u.q[at] = as_signed(vorrq_u8(bits_at<0, 4>(v), vshlq_n_u8(bits_at<bit, 1>(fifth), 4)));
      u.q[at + 2] = as_signed(vorrq_u8(bits_at<4, 4>(v), vshlq_n_u8(bits_at<bit + 1, 1>(fifth), 4)));
    });
  }
};

template <>
struct NeonUnpack256<Q6_K> {
  COTERIE_INLINE static void run(const Q6_K::Block& b, NeonBlock256& u) {
    u.d = half(b.scale);
    u.scales = vld1q_s8(b.scales);
    each<16>([&](auto i) {  // half h, quarter k of it, 16 weights e of that
      constexpr int h = i / 8;
      constexpr int k = i / 2 % 4;
      constexpr int e = i % 2;
      const uint8x16_t low = bits_at<k / 2 * 4, 4>(load16(b.low + 64 * h + 32 * (k % 2) + 16 * e));
      const uint8x16_t high = bits_at<2 * k, 2>(load16(b.high + 32 * h + 16 * e));
      u.q[i] = vsubq_s8(as_signed(vorrq_u8(low, vshlq_n_u8(high, 4))), vdupq_n_s8(32));
    });
  }
};

// 64 bytes of four codes of two bits each, as Q2_K, Q3_K and TQ2_0 store them.
template <int i>
COTERIE_INLINE uint8x16_t two_bits(const std::uint8_t* bytes) {
  return bits_at<i / 2 % 4 * 2, 2>(load16(bytes + 32 * (i / 8) + 16 * (i % 2)));
}

template <>
struct NeonUnpack256<Q2_K> {
  COTERIE_INLINE static void run(const Q2_K::Block& b, NeonBlock256& u) {
    u.d = half(b.scale);
    u.m = half(b.min);
    const uint8x16_t groups = load16(b.groups);
    u.scales = as_signed(bits_at<0, 4>(groups));
    u.mins = as_signed(bits_at<4, 4>(groups));
    each<16>([&](auto i) { u.q[i] = as_signed(two_bits<i>(b.codes)); });
  }
};

template <>
struct NeonUnpack256<Q3_K> {
  COTERIE_INLINE static void run(const Q3_K::Block& b, NeonBlock256& u) {
    u.d = half(b.scale);
    const uint8x8_t bytes = vld1_u8(b.scales_low);
    const uint8x16_t low = vcombine_u8(vand_u8(bytes, vdup_n_u8(15)), vshr_n_u8(bytes, 4));
    static constexpr std::int32_t shifts[4] = {0, -2, -4, -6};
    const uint32x4_t four_times = vshlq_u32(vdupq_n_u32(load_u32(b.scales_high)), vld1q_s32(shifts));
    const uint8x16_t high = bits_at<0, 2>(vreinterpretq_u8_u32(four_times));
    u.scales = vsubq_s8(as_signed(vorrq_u8(low, vshlq_n_u8(high, 4))), vdupq_n_s8(32));
    each<16>([&](auto i) {
      const uint8x16_t third = bits_at<i / 2, 1>(load16(b.third + 16 * (i % 2)));
      u.q[i] = vsubq_s8(as_signed(vorrq_u8(two_bits<i>(b.low), vshlq_n_u8(third, 2))), vdupq_n_s8(4));
    });
  }
};

template <>
struct NeonUnpack256<IQ4_XS> {
  COTERIE_INLINE static void run(const IQ4_XS::Block& b, NeonBlock256& u) {
    u.d = half(b.scale);
    std::uint64_t scales = 0;
    for (int g = 0; g < 8; ++g) {
      const int low = b.scales_low[g / 2] >> (g % 2 * 4) & 15;
      const int high = b.scales_high[g / 4] >> (g % 4 * 2) & 3;
      scales |= static_cast<std::uint64_t>(low | high << 4) << (8 * g);
    }
    u.scales =
        vsubq_s8(twice_each(static_cast<std::uint32_t>(scales), static_cast<std::uint32_t>(scales >> 32)),
                 vdupq_n_s8(32));
    const int8x16_t levels = vld1q_s8(iq4_levels);
    for (int g = 0; g < 8; ++g) {
      const uint8x16_t v = load16(b.nibbles + 16 * g);
      u.q[2 * g] = vqtbl1q_s8(levels, bits_at<0, 4>(v));
      u.q[2 * g + 1] = vqtbl1q_s8(levels, bits_at<4, 4>(v));
    }
  }
};

template <>
struct NeonUnpack256<TQ2_0> {
  COTERIE_INLINE static void run(const TQ2_0::Block& b, NeonBlock256& u) {
    u.d = half(b.scale);
    u.scales = vdupq_n_s8(1);
    each<16>([&](auto i) { u.q[i] = vsubq_s8(as_signed(two_bits<i>(b.codes)), vdupq_n_s8(1)); });
  }
};

template <>
struct NeonUnpack256<TQ1_0> {
  COTERIE_INLINE static void run(const TQ1_0::Block& b, NeonBlock256& u) {
    u.d = half(b.scale);
    u.scales = vdupq_n_s8(1);
    uint8x16_t v[3] = {load16(b.digits), load16(b.digits + 16), load16(b.digits + 32)};
    for (int k = 0; k < 5; ++k) {
      u.q[2 * k] = digits(v[0]);
      u.q[2 * k + 1] = digits(v[1]);
      u.q[10 + k] = digits(v[2]);
      for (uint8x16_t& each : v) each = times_3(each);
    }
    uint8x16_t last = vreinterpretq_u8_u32(vdupq_n_u32(load_u32(b.digits + 48)));
    static constexpr std::uint8_t powers[16] = {1, 1, 1, 1, 3, 3, 3, 3, 9, 9, 9, 9, 27, 27, 27, 27};
    last = vmulq_u8(last, load16(powers));
    u.q[15] = digits(last);
  }

 private:
  COTERIE_INLINE static uint8x16_t times_3(uint8x16_t v) { return vaddq_u8(v, vaddq_u8(v, v)); }
  // 3 v / 256 less 1; comparisons give -1 where they hold.
  COTERIE_INLINE static int8x16_t digits(uint8x16_t v) {
    const int8x16_t one = as_signed(vcgeq_u8(v, vdupq_n_u8(86)));
    const int8x16_t two = as_signed(vcgeq_u8(v, vdupq_n_u8(171)));
    return vsubq_s8(vdupq_n_s8(-1), vaddq_s8(one, two));
  }
};

}  // namespace coterie
