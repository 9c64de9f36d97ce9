// 64 bytes as two AVX2 registers, and the dozen operations on them from which the block kernels are written.
//
// wide_avx512.h offers the same with one register, so that a format is unpacked by one piece of code on all
// x86 ISAs. "Lane" is a 128-bit quarter of the 64 bytes; shifts work on 16-bit words, so the caller masks
// what crossed a byte.
#pragma once

#include "base/simd.h"

namespace coterie {

template <class Isa>
struct Wide;

template <>
struct Wide<Avx2> {
  struct V {
    __m256i low, high;
  };
  using Signs = V;  // bytes 1 and -1

  COTERIE_INLINE static __m256i load32(const void* p) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(p));
  }
  COTERIE_INLINE static V load(const void* p) {
    return {load32(p), load32(static_cast<const char*>(p) + 32)};
  }
  COTERIE_INLINE static V zero() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
  COTERIE_INLINE static V bytes(int value) {
    const __m256i v = _mm256_set1_epi8(static_cast<char>(value));
    return {v, v};
  }
  COTERIE_INLINE static V and_(V a, V b) {
    return {_mm256_and_si256(a.low, b.low), _mm256_and_si256(a.high, b.high)};
  }
  COTERIE_INLINE static V or_(V a, V b) {
    return {_mm256_or_si256(a.low, b.low), _mm256_or_si256(a.high, b.high)};
  }
  template <int n>
  COTERIE_INLINE static V shift_right(V a) {
    return {_mm256_srli_epi16(a.low, n), _mm256_srli_epi16(a.high, n)};
  }

  // 32 bytes twice: shifted right by `first` in the lower half, by `second` in the upper one; left where
  // negative.
  template <int first, int second>
  COTERIE_INLINE static V shifted_twice(const void* p) {
    return {shift<first>(load32(p)), shift<second>(load32(p))};
  }

  // Eight times eight bytes, sixteen times four.
  template <class At>
  COTERIE_INLINE static V eight(At at) {
    return {four(at, 0), four(at, 4)};
  }
  template <class At>
  COTERIE_INLINE static V sixteen(At at) {
    return {eight_doublewords(at, 0), eight_doublewords(at, 8)};
  }
  COTERIE_INLINE static V join(__m256i low, __m256i high) { return {low, high}; }

  // 16 + 16 bytes, each twice: lanes a, a >> 4, b, b >> 4.
  COTERIE_INLINE static V nibble_lanes(const void* p) {
    const __m128i a = _mm_loadu_si128(static_cast<const __m128i*>(p));
    const __m128i b = _mm_loadu_si128(static_cast<const __m128i*>(p) + 1);
    return {_mm256_set_m128i(_mm_srli_epi16(a, 4), a), _mm256_set_m128i(_mm_srli_epi16(b, 4), b)};
  }

  // table[index], 16 entries, index < 16.
  COTERIE_INLINE static V look_up(__m128i table, V index) {
    const __m256i t = _mm256_broadcastsi128_si256(table);
    return {_mm256_shuffle_epi8(t, index.low), _mm256_shuffle_epi8(t, index.high)};
  }

  // Words: a[2 i] * b[2 i] + a[2 i + 1] * b[2 i + 1], a unsigned. No sum saturates while a <= 128 and |b| <=
  // 127.
  COTERIE_INLINE static V pair_products(V a, V b) {
    return {_mm256_maddubs_epi16(a.low, b.low), _mm256_maddubs_epi16(a.high, b.high)};
  }
  COTERIE_INLINE static V signed_pair_products(V a, V b) {
    return {signed_pair_products(a.low, b.low), signed_pair_products(a.high, b.high)};
  }
  COTERIE_INLINE static __m256i signed_pair_products(__m256i a, __m256i b) {
    return _mm256_maddubs_epi16(_mm256_abs_epi8(a), _mm256_sign_epi8(b, a));
  }

  // Doublewords: acc + a[2 i] * b[2 i] + a[2 i + 1] * b[2 i + 1] over words.
  COTERIE_INLINE static V add_products(V acc, V a, V b) {
    return {_mm256_add_epi32(acc.low, _mm256_madd_epi16(a.low, b.low)),
            _mm256_add_epi32(acc.high, _mm256_madd_epi16(a.high, b.high))};
  }

  // Eight doublewords with the same sum as the sixteen.
  COTERIE_INLINE static __m256i fold(V a) { return _mm256_add_epi32(a.low, a.high); }
  // The other way round.
  COTERIE_INLINE static V widen(__m256i a) { return {a, _mm256_setzero_si256()}; }

  // Doubleword i: the sum of the sixteen doublewords of v[i].
  COTERIE_INLINE static __m128i add_up(const V (&v)[4]) {
    const __m256i folded[4] = {fold(v[0]), fold(v[1]), fold(v[2]), fold(v[3])};
    return add_up(folded);
  }
  // The same of eight doublewords each.
  COTERIE_INLINE static __m128i add_up(const __m256i (&v)[4]) {
    const __m256i s = lane_sums(v[0], v[1], v[2], v[3]);
    return _mm_add_epi32(_mm256_castsi256_si128(s), _mm256_extracti128_si256(s, 1));
  }
  COTERIE_INLINE static __m256i add_up(const __m256i (&v)[8]) {
    const __m256i s = lane_sums(v[0], v[1], v[2], v[3]);
    const __m256i t = lane_sums(v[4], v[5], v[6], v[7]);
    return _mm256_add_epi32(_mm256_permute2x128_si256(s, t, 0x20), _mm256_permute2x128_si256(s, t, 0x31));
  }

  // The sum of 32 products of bytes, a unsigned or signed, spread over eight doublewords. The signed one may
  // hold signed_offset times the sum of b too much.
  COTERIE_INLINE static __m256i dot32(__m256i a, __m256i b) {
    return _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), _mm256_set1_epi16(1));
  }
  static constexpr int signed_offset = 0;
  COTERIE_INLINE static __m256i signed_dot32(__m256i a, __m256i b) {
    return _mm256_madd_epi16(signed_pair_products(a, b), _mm256_set1_epi16(1));
  }

  // Products of 256 codes and 256 values, times one scale word per 16 of them: the scales laid out, the products (words or
  // doublewords, as the ISA has them; no code above 64), and the doublewords to which all of them add up.
  using Scales = V[4];
  COTERIE_INLINE static void lay_out(__m256i words, Scales& out) { spread(words, out); }
  COTERIE_INLINE static V products(V a, V b) { return pair_products(a, b); }
  COTERIE_INLINE static V weigh(V acc, const V (&products)[4], const Scales& scales) {
    for (int c = 0; c < 4; ++c) acc = add_products(acc, products[c], scales[c]);
    return acc;
  }

  // Eight doublewords: acc + a[2 i] * b[2 i] + a[2 i + 1] * b[2 i + 1] over words.
  COTERIE_INLINE static __m256i add_products(__m256i acc, __m256i a, __m256i b) {
    return _mm256_add_epi32(acc, _mm256_madd_epi16(a, b));
  }

  // Sixteen words, one per 16 bytes: lane l of out[c] is filled with word 4 c + l.
  COTERIE_INLINE static void spread(__m256i words, V (&out)[4]) {
    const __m256i low = _mm256_permute4x64_epi64(words, 0x44);
    const __m256i high = _mm256_permute4x64_epi64(words, 0xee);
    out[0] = {_mm256_shuffle_epi8(low, pair_of_words(0)), _mm256_shuffle_epi8(low, pair_of_words(2))};
    out[1] = {_mm256_shuffle_epi8(low, pair_of_words(4)), _mm256_shuffle_epi8(low, pair_of_words(6))};
    out[2] = {_mm256_shuffle_epi8(high, pair_of_words(0)), _mm256_shuffle_epi8(high, pair_of_words(2))};
    out[3] = {_mm256_shuffle_epi8(high, pair_of_words(4)), _mm256_shuffle_epi8(high, pair_of_words(6))};
  }

  // Bit i of 64 set: byte i is to be negated.
  COTERIE_INLINE static Signs signs(std::uint64_t bits) {
    return {signs(static_cast<std::uint32_t>(bits)), signs(static_cast<std::uint32_t>(bits >> 32))};
  }
  COTERIE_INLINE static V negate(V x, Signs s) {
    return {_mm256_sign_epi8(x.low, s.low), _mm256_sign_epi8(x.high, s.high)};
  }

  // 32 bits to 32 bytes, 255 where a bit is set.
  COTERIE_INLINE static __m256i set_bytes(std::uint32_t bits) {
    const __m256i byte =
        _mm256_setr_epi32(0, 0, 0x01010101, 0x01010101, 0x02020202, 0x02020202, 0x03030303, 0x03030303);
    const __m256i bit = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201ULL));
    const __m256i spread = _mm256_shuffle_epi8(_mm256_set1_epi32(static_cast<int>(bits)), byte);
    return _mm256_cmpeq_epi8(_mm256_and_si256(spread, bit), bit);
  }

  // table[index] for 32 byte indices into 256 words.
  COTERIE_INLINE static V look_up_words(const std::uint16_t* table, __m256i index) {
    alignas(32) std::uint8_t i[32];
    alignas(32) std::uint16_t found[32];
    _mm256_store_si256(reinterpret_cast<__m256i*>(i), index);
    for (int k = 0; k < 32; ++k) found[k] = table[i[k]];
    return load(found);
  }

  // Lane `lane` of a in all four lanes.
  template <int lane>
  COTERIE_INLINE static V repeat_lane(V a) {
    const __m256i half = lane < 2 ? a.low : a.high;
    const __m256i v = _mm256_permute4x64_epi64(half, lane % 2 == 0 ? 0x44 : 0xee);
    return {v, v};
  }
  // Byte j of lane l becomes byte 4 l + j / 4 of the lane.
  COTERIE_INLINE static V each_byte_four_times(V a) {
    const __m256i low = _mm256_setr_epi32(0, 0x01010101, 0x02020202, 0x03030303, 0x04040404, 0x05050505,
                                          0x06060606, 0x07070707);
    return {_mm256_shuffle_epi8(a.low, low),
            _mm256_shuffle_epi8(a.high, _mm256_add_epi8(low, _mm256_set1_epi8(8)))};
  }
  COTERIE_INLINE static V doublewords(std::uint32_t value) {
    const __m256i v = _mm256_set1_epi32(static_cast<int>(value));
    return {v, v};
  }

 private:
  template <class At>
  COTERIE_INLINE static __m256i four(At at, int i) {
    return _mm256_setr_epi64x(static_cast<long long>(at(i)), static_cast<long long>(at(i + 1)),
                              static_cast<long long>(at(i + 2)), static_cast<long long>(at(i + 3)));
  }
  template <class At>
  COTERIE_INLINE static __m256i eight_doublewords(At at, int i) {
    const auto v = [&](int k) { return static_cast<int>(at(i + k)); };
    return _mm256_setr_epi32(v(0), v(1), v(2), v(3), v(4), v(5), v(6), v(7));
  }
  // Each lane: the sums of its part of a, b, c and d.
  COTERIE_INLINE static __m256i lane_sums(__m256i a, __m256i b, __m256i c, __m256i d) {
    const __m256i p = _mm256_add_epi32(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
    const __m256i q = _mm256_add_epi32(_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
    return _mm256_add_epi32(_mm256_unpacklo_epi64(p, q), _mm256_unpackhi_epi64(p, q));
  }
  template <int n>
  COTERIE_INLINE static __m256i shift(__m256i a) {
    if constexpr (n >= 0)
      return _mm256_srli_epi16(a, n);
    else
      return _mm256_slli_epi16(a, -n);
  }
  // A byte shuffle: word w in the lower lane, word w + 1 in the upper one.
  COTERIE_INLINE static __m256i pair_of_words(int w) {
    const auto both = [](int word) { return static_cast<short>((2 * word + 1) * 256 + 2 * word); };
    return _mm256_set_m128i(_mm_set1_epi16(both(w + 1)), _mm_set1_epi16(both(w)));
  }
  COTERIE_INLINE static __m256i signs(std::uint32_t bits) {
    return _mm256_or_si256(set_bytes(bits), _mm256_set1_epi8(1));
  }
};

}  // namespace coterie
