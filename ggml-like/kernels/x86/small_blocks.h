// Blocks of 32 weights on x86: one register of codes. Any format comes in through its integers, signed; those
// below are read in registers, and where their codes are unsigned the offset is taken off through the sum of
// x.
#pragma once

#include "formats/iq4_nl.h"
#include "formats/q4_0.h"
#include "formats/q4_1.h"
#include "formats/q5_0.h"
#include "formats/q5_1.h"
#include "formats/q8_0.h"
#include "kernels/x86/k_quants.h"

namespace coterie {

template <class ScaleType>
struct Unpacked32 {
  __m256i q;
  ScaleType d;
  ScaleType m;
};

template <class F>
struct Unpack32 {
  using Unpacked = Unpacked32<float>;
  static constexpr bool is_signed = true;
  static constexpr int offset = 0;
  COTERIE_INLINE static void run(const typename F::Block& b, Unpacked& u) {
    Integers32 integers;
    F::unpack(b, integers);
    u.q = Wide<Avx2>::load32(integers.q);
    u.d = integers.d;
    if constexpr (F::has_mins) u.m = integers.m;
  }
};

// Low nibbles, then high nibbles.
COTERIE_INLINE __m256i nibbles32(const std::uint8_t* p) {
  const __m128i packed = load16(p);
  return _mm256_and_si256(_mm256_set_m128i(_mm_srli_epi16(packed, 4), packed), _mm256_set1_epi8(15));
}

template <>
struct Unpack32<Q8_0> {
  using Unpacked = Unpacked32<std::uint16_t>;
  static constexpr bool is_signed = true;
  static constexpr int offset = 0;
  COTERIE_INLINE static void run(const Q8_0::Block& b, Unpacked& u) {
    u.q = Wide<Avx2>::load32(b.q);
    u.d = b.scale.bits;
  }
};

template <>
struct Unpack32<IQ4_NL> {
  using Unpacked = Unpacked32<std::uint16_t>;
  static constexpr bool is_signed = true;
  static constexpr int offset = 0;
  COTERIE_INLINE static void run(const IQ4_NL::Block& b, Unpacked& u) {
    u.q = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(load16(iq4_levels)), nibbles32(b.nibbles));
    u.d = b.scale.bits;
  }
};

template <>
struct Unpack32<Q4_0> {
  using Unpacked = Unpacked32<std::uint16_t>;
  static constexpr bool is_signed = false;
  static constexpr int offset = 8;
  COTERIE_INLINE static void run(const Q4_0::Block& b, Unpacked& u) {
    u.q = nibbles32(b.nibbles);
    u.d = b.scale.bits;
  }
};

template <class F, class Isa>
requires std::is_same_v<typename F::Integers, Integers32>
struct BlockOps<F, Isa> {
  using W = Wide<Isa>;
  using Unpacked = typename Unpack32<F>::Unpacked;
  static constexpr int sum_offset = Unpack32<F>::is_signed ? W::signed_offset : Unpack32<F>::offset;

  COTERIE_INLINE static void unpack(const typename F::Block& b, Unpacked& u) { Unpack32<F>::run(b, u); }
  COTERIE_INLINE static void sums(const Unpacked& u, const Act32& x, __m256i& isum) {
    if constexpr (Unpack32<F>::is_signed)
      isum = W::signed_dot32(u.q, W::load32(x.q));
    else
      isum = W::dot32(u.q, W::load32(x.q));
  }
};

}  // namespace coterie
