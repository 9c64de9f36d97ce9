// Blocks of 32 weights on x86: one register of signed codes. Any format comes in through its integers; Q8_0,
// Q4_0 and IQ4_NL are read in registers.
#pragma once

#include "formats/iq4_nl.h"
#include "formats/q4_0.h"
#include "formats/q8_0.h"
#include "kernels/x86/k_quants.h"

namespace coterie {

struct Unpacked32 {
  __m256i q;
  float d;
  float m;
};

template <class F>
COTERIE_INLINE void unpack32(const typename F::Block& b, Unpacked32& u) {
  Integers32 integers;
  F::unpack(b, integers);
  u.q = Wide<Avx2>::load32(integers.q);
  u.d = integers.d;
  if constexpr (F::has_mins) u.m = integers.m;
}

// Low nibbles, then high nibbles.
COTERIE_INLINE __m256i nibbles32(const std::uint8_t* p) {
  const __m128i packed = load16(p);
  return _mm256_and_si256(_mm256_set_m128i(_mm_srli_epi16(packed, 4), packed), _mm256_set1_epi8(15));
}

template <>
COTERIE_INLINE void unpack32<Q8_0>(const Q8_0::Block& b, Unpacked32& u) {
  u.q = Wide<Avx2>::load32(b.q);
  u.d = half_value(b.scale);
}
template <>
COTERIE_INLINE void unpack32<Q4_0>(const Q4_0::Block& b, Unpacked32& u) {
  u.q = _mm256_sub_epi8(nibbles32(b.nibbles), _mm256_set1_epi8(8));
  u.d = half_value(b.scale);
}
template <>
COTERIE_INLINE void unpack32<IQ4_NL>(const IQ4_NL::Block& b, Unpacked32& u) {
  u.q = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(load16(iq4_levels)), nibbles32(b.nibbles));
  u.d = half_value(b.scale);
}

template <class F, class Isa>
requires std::is_same_v<typename F::Integers, Integers32>
struct BlockOps<F, Isa> {
  using Unpacked = Unpacked32;
  COTERIE_INLINE static void unpack(const typename F::Block& b, Unpacked& u) { unpack32<F>(b, u); }
  COTERIE_INLINE static void sums(const Unpacked& u, const Act32& x, __m256i& isum) {
    isum = Wide<Isa>::dot32(u.q, Wide<Avx2>::load32(x.q));
  }
};

}  // namespace coterie
