// A block seen as small integers: what every block format says once its bits are sorted out.
//
//   32-block       w[i] = d * q[i]  (+ m)
//   64-block       w[i] = d[i / 16] * q[i]
//   super-block    w[i] = (d * scales[i / 16]) * q[i]  (- dmin * mins[i / 16])
//
// A format's unpack fills one of these (its Integers type), its encode packs one; decode and accumulate are
// then the same for all. A kernel may unpack once and meet many activations. No product d * scale * q needs
// more than the 24 bits of a float (half d: 11; scale and code: at most 12, Q6_K's -128 * -32), so decode
// rounds nowhere but in the subtraction of a minimum, and gives the reference's bits in whatever order the
// reference multiplies.
//
// accumulate is the numeric contract: one exact int32 sum per block and one fma, minima in a second fma right
// after. The largest sum is Q6_K's: 256 * 127 * 128 * 32 = 133 million.
#pragma once

#include "base/half.h"
#include "formats/activation.h"

#include <cstdint>

namespace coterie {

struct Integers32 {
  float d;
  float m;  // unused without minima
  std::int8_t q[32];
};

struct Integers64 {
  float d[4];
  std::int8_t q[64];
};

struct Integers256 {
  float d;
  float dmin;  // unused without minima
  std::int8_t q[256];
  std::int8_t scales[16];
  std::int8_t mins[16];
};

COTERIE_INLINE bool is_finite(Half h) { return (h.bits & 0x7c00U) != 0x7c00U; }
COTERIE_INLINE bool is_finite(BFloat16 b) { return (b.bits & 0x7f80U) != 0x7f80U; }
COTERIE_INLINE bool is_finite(float f) { return (bits_of(f) & 0x7f800000U) != 0x7f800000U; }

// The sum of n products of bytes.
template <int n>
COTERIE_INLINE std::int32_t dot_bytes(const std::int8_t* a, const std::int8_t* b) {
  std::int32_t sum = 0;
  for (int i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

template <bool has_mins>
COTERIE_INLINE void decode_integers(const Integers32& u, float* w) {
  for (int i = 0; i < 32; ++i) {
    w[i] = u.d * static_cast<float>(u.q[i]);
    if constexpr (has_mins) w[i] += u.m;
  }
}

template <bool has_mins>
COTERIE_INLINE void decode_integers(const Integers64& u, float* w) {
  static_assert(!has_mins);
  for (int i = 0; i < 64; ++i) w[i] = u.d[i / 16] * static_cast<float>(u.q[i]);
}

template <bool has_mins>
COTERIE_INLINE void decode_integers(const Integers256& u, float* w) {
  for (int g = 0; g < 16; ++g) {
    const float scale = u.d * static_cast<float>(u.scales[g]);
    for (int i = 16 * g; i < 16 * g + 16; ++i) {
      w[i] = scale * static_cast<float>(u.q[i]);
      if constexpr (has_mins) w[i] -= u.dmin * static_cast<float>(u.mins[g]);
    }
  }
}

template <bool has_mins>
COTERIE_INLINE float accumulate_integers(const Integers32& u, const Act32* x, float acc) {
  acc = __builtin_fmaf(u.d * x->scale, static_cast<float>(dot_bytes<32>(u.q, x->q)), acc);
  if constexpr (has_mins) acc = __builtin_fmaf(u.m * x->scale, static_cast<float>(x->sum), acc);
  return acc;
}

// Two activation blocks. Four float scales do not fit one integer sum: one fma per 16 values.
template <bool has_mins>
COTERIE_INLINE float accumulate_integers(const Integers64& u, const Act32* x, float acc) {
  static_assert(!has_mins);
  for (int g = 0; g < 4; ++g) {
    const Act32& a = x[g / 2];
    const std::int32_t isum = dot_bytes<16>(u.q + 16 * g, a.q + 16 * (g % 2));
    acc = __builtin_fmaf(u.d[g] * a.scale, static_cast<float>(isum), acc);
  }
  return acc;
}

template <bool has_mins>
COTERIE_INLINE float accumulate_integers(const Integers256& u, const Act256* x, float acc) {
  std::int32_t isum = 0;
  for (int g = 0; g < 16; ++g) isum += u.scales[g] * dot_bytes<16>(u.q + 16 * g, x->q + 16 * g);
  acc = __builtin_fmaf(u.d * x->scale, static_cast<float>(isum), acc);
  if constexpr (has_mins) {
    std::int32_t msum = 0;
    for (int g = 0; g < 16; ++g) msum += u.mins[g] * x->group_sums[g];
    acc = __builtin_fmaf(-(u.dmin * x->scale), static_cast<float>(msum), acc);
  }
  return acc;
}

// What F::decode and F::accumulate say for every format that unpacks.
template <class F>
COTERIE_INLINE void decode_unpacked(const typename F::Block& b, float* w) {
  typename F::Integers u;
  F::unpack(b, u);
  decode_integers<F::has_mins>(u, w);
}

template <class F>
COTERIE_INLINE float accumulate_unpacked(const typename F::Block& b, const typename F::Activation* x,
                                         float acc) {
  typename F::Integers u;
  F::unpack(b, u);
  return accumulate_integers<F::has_mins>(u, x, acc);
}

}  // namespace coterie
