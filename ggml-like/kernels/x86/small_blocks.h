// Blocks of 32 weights on x86: one register of codes. Any format comes in through its integers, signed; those
// below are read in registers, and where their codes are unsigned the offset is taken off through the sum of
// x.
#pragma once

#include "formats/iq4_nl.h"
#include "formats/mxfp4.h"
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

struct SignedCodes {
  static constexpr bool is_signed = true;
  static constexpr int offset = 0;
};

// A code c stands for c - offset.
template <int offset_of_codes>
struct UnsignedCodes {
  static constexpr bool is_signed = false;
  static constexpr int offset = offset_of_codes;
};

template <class F>
struct Unpack32 : SignedCodes {
  using Unpacked = Unpacked32<float>;
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

// The same with fifth bits, kept apart.
COTERIE_INLINE __m256i five_bits32(const std::uint8_t* nibbles, const std::uint8_t* fifth) {
  return _mm256_or_si256(nibbles32(nibbles),
                         _mm256_and_si256(Wide<Avx2>::set_bytes(load_u32(fifth)), _mm256_set1_epi8(16)));
}

// The same through a table of 16 levels.
COTERIE_INLINE __m256i levels32(const std::int8_t* levels, const std::uint8_t* nibbles) {
  return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(load16(levels)), nibbles32(nibbles));
}

template <>
struct Unpack32<Q8_0> : SignedCodes {
  using Unpacked = Unpacked32<std::uint16_t>;
  COTERIE_INLINE static void run(const Q8_0::Block& b, Unpacked& u) {
    u.q = Wide<Avx2>::load32(b.q);
    u.d = b.scale.bits;
  }
};

template <>
struct Unpack32<IQ4_NL> : SignedCodes {
  using Unpacked = Unpacked32<std::uint16_t>;
  COTERIE_INLINE static void run(const IQ4_NL::Block& b, Unpacked& u) {
    u.q = levels32(iq4_levels, b.nibbles);
    u.d = b.scale.bits;
  }
};

template <>
struct Unpack32<MXFP4> : SignedCodes {
  using Unpacked = Unpacked32<float>;
  COTERIE_INLINE static void run(const MXFP4::Block& b, Unpacked& u) {
    u.q = levels32(e2m1_levels, b.nibbles);
    u.d = MXFP4::power_of(b.exponent);
  }
};

template <>
struct Unpack32<Q4_0> : UnsignedCodes<8> {
  using Unpacked = Unpacked32<std::uint16_t>;
  COTERIE_INLINE static void run(const Q4_0::Block& b, Unpacked& u) {
    u.q = nibbles32(b.nibbles);
    u.d = b.scale.bits;
  }
};

template <>
struct Unpack32<Q4_1> : UnsignedCodes<0> {
  using Unpacked = Unpacked32<std::uint16_t>;
  COTERIE_INLINE static void run(const Q4_1::Block& b, Unpacked& u) {
    u.q = nibbles32(b.nibbles);
    u.d = b.scale.bits;
    u.m = b.min.bits;
  }
};

template <>
struct Unpack32<Q5_0> : UnsignedCodes<16> {
  using Unpacked = Unpacked32<std::uint16_t>;
  COTERIE_INLINE static void run(const Q5_0::Block& b, Unpacked& u) {
    u.q = five_bits32(b.nibbles, b.fifth);
    u.d = b.scale.bits;
  }
};

template <>
struct Unpack32<Q5_1> : UnsignedCodes<0> {
  using Unpacked = Unpacked32<std::uint16_t>;
  COTERIE_INLINE static void run(const Q5_1::Block& b, Unpacked& u) {
    u.q = five_bits32(b.nibbles, b.fifth);
    u.d = b.scale.bits;
    u.m = b.min.bits;
  }
};

template <class F, class Isa>
requires std::is_same_v<typename F::Integers, Integers32>
struct BlockOps<F, Isa> {
  using W = Wide<Isa>;
  using Products = __m256i;
  using Unpacked = typename Unpack32<F>::Unpacked;
  static constexpr int sum_offset = Unpack32<F>::is_signed ? W::signed_offset : Unpack32<F>::offset;

  COTERIE_INLINE static void unpack(const typename F::Block& b, Unpacked& u) { Unpack32<F>::run(b, u); }
  COTERIE_INLINE static __m256i products(const Unpacked& u, const std::int8_t* x) {
    if constexpr (Unpack32<F>::is_signed)
      return W::signed_dot32(u.q, W::load32(x));
    else
      return W::dot32(u.q, W::load32(x));
  }
  COTERIE_INLINE static void sums(const Unpacked& u, const Act32& x, __m256i& isum) {
    isum = products(u, x.q);
  }
};

}  // namespace coterie
