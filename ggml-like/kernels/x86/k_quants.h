// Q2_K to Q6_K, unpacked in registers; the bytes are drawn in formats/q2_k.h and so on.
#pragma once

#include "formats/bytes.h"
#include "formats/k_scales.h"
#include "formats/q2_k.h"
#include "formats/q3_k.h"
#include "formats/q4_k.h"
#include "formats/q5_k.h"
#include "formats/q6_k.h"
#include "kernels/x86/superblocks.h"

namespace coterie {

COTERIE_INLINE __m128i load16(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }

// Eight bytes in two integers to sixteen words, each twice: a group of 32 is two groups of 16.
COTERIE_INLINE __m256i doubled_words(std::uint32_t low, std::uint32_t high) {
  const __m128i bytes =
      _mm_cvtsi64_si128(static_cast<long long>(static_cast<std::uint64_t>(high) << 32 | low));
  return _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(bytes, bytes));
}

template <class Isa>
COTERIE_INLINE void unpack_k_scales(const std::uint8_t* bytes, Unpacked256<Isa, std::uint16_t>& u) {
  const KScales k = k_scales_by_four(bytes);
  Wide<Isa>::lay_out(doubled_words(k.scales[0], k.scales[1]), u.scales);
  u.group_words = doubled_words(k.mins[0], k.mins[1]);
}

// 64 bytes of four codes of two bits each, as Q2_K and TQ2_0 store them.
template <class Isa, class Unpacked>
COTERIE_INLINE void unpack_two_bits(const std::uint8_t* codes, Unpacked& u) {
  using W = Wide<Isa>;
  for (int h = 0; h < 2; ++h) {
    u.q[2 * h] = W::and_(W::template shifted_twice<0, 2>(codes + 32 * h), W::bytes(3));
    u.q[2 * h + 1] = W::and_(W::template shifted_twice<4, 6>(codes + 32 * h), W::bytes(3));
  }
}

template <class Isa>
struct Unpack256<Q4_K, Isa> {
  using Unpacked = Unpacked256<Isa, std::uint16_t>;
  static constexpr Codes codes = Codes::plain;
  COTERIE_INLINE static void run(const Q4_K::Block& b, Unpacked& u) {
    using W = Wide<Isa>;
    u.d = b.scale.bits;
    u.m = b.min.bits;
    unpack_k_scales(b.scales, u);
    for (int c = 0; c < 4; ++c)
      u.q[c] = W::and_(W::template shifted_twice<0, 4>(b.nibbles + 32 * c), W::bytes(15));
  }
};

template <class Isa>
struct Unpack256<Q5_K, Isa> {
  using Unpacked = Unpacked256<Isa, std::uint16_t>;
  static constexpr Codes codes = Codes::plain;
  COTERIE_INLINE static void run(const Q5_K::Block& b, Unpacked& u) {
    u.d = b.scale.bits;
    u.m = b.min.bits;
    unpack_k_scales(b.scales, u);
    quarter<0>(b, u);
    quarter<1>(b, u);
    quarter<2>(b, u);
    quarter<3>(b, u);
  }

 private:
  template <int c>
  COTERIE_INLINE static void quarter(const Q5_K::Block& b, Unpacked& u) {
    using W = Wide<Isa>;
    const auto low = W::and_(W::template shifted_twice<0, 4>(b.nibbles + 32 * c), W::bytes(15));
    const auto fifth = W::and_(W::template shifted_twice<2 * c - 4, 2 * c - 3>(b.fifth), W::bytes(16));
    u.q[c] = W::or_(low, fifth);
  }
};

template <class Isa>
struct Unpack256<Q6_K, Isa> {
  using Unpacked = Unpacked256<Isa, std::uint16_t>;
  static constexpr Codes codes = Codes::offset;
  static constexpr int offset = 32;
  COTERIE_INLINE static void run(const Q6_K::Block& b, Unpacked& u) {
    using W = Wide<Isa>;
    u.d = b.scale.bits;
    const __m256i scales = _mm256_cvtepi8_epi16(load16(b.scales));
    W::lay_out(scales, u.scales);
    u.group_words = _mm256_mullo_epi16(scales, _mm256_set1_epi16(-32));
    for (int h = 0; h < 2; ++h) {
      const auto low = W::load(b.low + 64 * h);
      const std::uint8_t* high = b.high + 32 * h;
      u.q[2 * h] = W::or_(W::and_(low, W::bytes(15)),
                          W::and_(W::template shifted_twice<-4, -2>(high), W::bytes(0x30)));
      u.q[2 * h + 1] = W::or_(W::and_(W::template shift_right<4>(low), W::bytes(15)),
                              W::and_(W::template shifted_twice<0, 2>(high), W::bytes(0x30)));
    }
  }
};

template <class Isa>
struct Unpack256<Q2_K, Isa> {
  using Unpacked = Unpacked256<Isa, std::uint16_t>;
  static constexpr Codes codes = Codes::plain;
  COTERIE_INLINE static void run(const Q2_K::Block& b, Unpacked& u) {
    using W = Wide<Isa>;
    u.d = b.scale.bits;
    u.m = b.min.bits;
    const __m128i groups = load16(b.groups);
    const __m128i low_half = _mm_set1_epi8(15);
    W::lay_out(_mm256_cvtepu8_epi16(_mm_and_si128(groups, low_half)), u.scales);
    u.group_words = _mm256_cvtepu8_epi16(_mm_and_si128(_mm_srli_epi16(groups, 4), low_half));
    unpack_two_bits<Isa>(b.codes, u);
  }
};

template <class Isa>
struct Unpack256<Q3_K, Isa> {
  using Unpacked = Unpacked256<Isa, std::uint16_t>;
  static constexpr Codes codes = Codes::offset;
  static constexpr int offset = 4;
  COTERIE_INLINE static void run(const Q3_K::Block& b, Unpacked& u) {
    u.d = b.scale.bits;
    const __m256i scales = _mm256_sub_epi16(_mm256_cvtepu8_epi16(scale_bytes(b)), _mm256_set1_epi16(32));
    Wide<Isa>::lay_out(scales, u.scales);
    u.group_words = _mm256_mullo_epi16(scales, _mm256_set1_epi16(-4));
    quarter<0>(b, u);
    quarter<1>(b, u);
    quarter<2>(b, u);
    quarter<3>(b, u);
  }

 private:
  COTERIE_INLINE static __m128i scale_bytes(const Q3_K::Block& b) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(b.scales_low));
    const __m128i low = _mm_and_si128(_mm_unpacklo_epi64(bytes, _mm_srli_epi16(bytes, 4)), _mm_set1_epi8(15));
    const __m128i four_times = _mm_set1_epi32(static_cast<int>(load_u32(b.scales_high)));
    const __m128i high =
        _mm_and_si128(_mm_srlv_epi32(four_times, _mm_setr_epi32(0, 2, 4, 6)), _mm_set1_epi8(3));
    return _mm_or_si128(low, _mm_slli_epi16(high, 4));
  }

  template <int c>
  COTERIE_INLINE static void quarter(const Q3_K::Block& b, Unpacked& u) {
    using W = Wide<Isa>;
    constexpr int k = c % 2 * 4;
    const auto low = W::and_(W::template shifted_twice<k, k + 2>(b.low + 32 * (c / 2)), W::bytes(3));
    const auto third = W::and_(W::template shifted_twice<2 * c - 2, 2 * c - 1>(b.third), W::bytes(4));
    u.q[c] = W::or_(low, third);
  }
};

}  // namespace coterie
