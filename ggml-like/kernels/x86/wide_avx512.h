// 64 bytes as one AVX-512 register: the operations of wide_avx2.h, which says what each one does.
#pragma once

#include "kernels/x86/wide_avx2.h"

namespace coterie {

template <>
struct Wide<Avx512> {
  using V = __m512i;
  using Signs = __mmask64;

  COTERIE_INLINE static V load(const void* p) { return _mm512_loadu_si512(p); }
  COTERIE_INLINE static V zero() { return _mm512_setzero_si512(); }
  COTERIE_INLINE static V bytes(int value) { return _mm512_set1_epi8(static_cast<char>(value)); }
  COTERIE_INLINE static V and_(V a, V b) { return _mm512_and_si512(a, b); }
  COTERIE_INLINE static V or_(V a, V b) { return _mm512_or_si512(a, b); }
  template <int n>
  COTERIE_INLINE static V shift_right(V a) {
    return _mm512_srli_epi16(a, n);
  }

  template <int first, int second>
  COTERIE_INLINE static V shifted_twice(const void* p) {
    const V twice = _mm512_broadcast_i64x4(Wide<Avx2>::load32(p));
    if constexpr (first >= 0)
      return _mm512_srlv_epi16(twice, halves(first, second));
    else
      return _mm512_sllv_epi16(twice, halves(-first, -second));
  }

  template <class At>
  COTERIE_INLINE static V eight(At at) {
    const auto halves = Wide<Avx2>::eight(at);
    return join(halves.low, halves.high);
  }
  template <class At>
  COTERIE_INLINE static V sixteen(At at) {
    const auto halves = Wide<Avx2>::sixteen(at);
    return join(halves.low, halves.high);
  }
  COTERIE_INLINE static V join(__m256i low, __m256i high) {
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
  }

  COTERIE_INLINE static V nibble_lanes(const void* p) {
    const V both = _mm512_castsi256_si512(Wide<Avx2>::load32(p));
    const V lanes = _mm512_shuffle_i64x2(both, both, 0x50);
    return _mm512_srlv_epi64(lanes, _mm512_setr_epi64(0, 0, 4, 4, 0, 0, 4, 4));
  }

  COTERIE_INLINE static V look_up(__m128i table, V index) {
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(table), index);
  }
  COTERIE_INLINE static V pair_products(V a, V b) { return _mm512_maddubs_epi16(a, b); }
  COTERIE_INLINE static V signed_pair_products(V a, V b) {
    return _mm512_maddubs_epi16(_mm512_abs_epi8(a), negate(b, _mm512_movepi8_mask(a)));
  }
  COTERIE_INLINE static V add_products(V acc, V a, V b) {
    return _mm512_add_epi32(acc, _mm512_madd_epi16(a, b));
  }
  COTERIE_INLINE static __m256i fold(V a) {
    return _mm256_add_epi32(_mm512_castsi512_si256(a), _mm512_extracti64x4_epi64(a, 1));
  }
  COTERIE_INLINE static V widen(__m256i a) { return _mm512_zextsi256_si512(a); }
  COTERIE_INLINE static __m128i add_up(const V (&v)[4]) {
    const V a = _mm512_add_epi32(_mm512_unpacklo_epi32(v[0], v[1]), _mm512_unpackhi_epi32(v[0], v[1]));
    const V b = _mm512_add_epi32(_mm512_unpacklo_epi32(v[2], v[3]), _mm512_unpackhi_epi32(v[2], v[3]));
    const __m256i s = fold(_mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b)));
    return _mm_add_epi32(_mm256_castsi256_si128(s), _mm256_extracti128_si256(s, 1));
  }
  COTERIE_INLINE static __m128i add_up(const __m256i (&v)[4]) { return Wide<Avx2>::add_up(v); }
  COTERIE_INLINE static __m256i add_up(const __m256i (&v)[8]) { return Wide<Avx2>::add_up(v); }

  using Scales = V[4];
  COTERIE_INLINE static void lay_out(__m256i words, Scales& out) { spread(words, out); }
  COTERIE_INLINE static V products(V a, V b) { return pair_products(a, b); }
  COTERIE_INLINE static V weigh(V acc, const V (&products)[4], const Scales& scales) {
    for (int c = 0; c < 4; ++c) acc = add_products(acc, products[c], scales[c]);
    return acc;
  }
  COTERIE_INLINE static __m256i add_products(__m256i acc, __m256i a, __m256i b) {
    return Wide<Avx2>::add_products(acc, a, b);
  }
  COTERIE_INLINE static __m256i load32(const void* p) { return Wide<Avx2>::load32(p); }
  COTERIE_INLINE static __m256i dot32(__m256i a, __m256i b) { return Wide<Avx2>::dot32(a, b); }
  static constexpr int signed_offset = 0;
  COTERIE_INLINE static __m256i signed_dot32(__m256i a, __m256i b) { return Wide<Avx2>::signed_dot32(a, b); }

  COTERIE_INLINE static void spread(__m256i words, V (&out)[4]) {
    const V w = _mm512_castsi256_si512(words);
    const V first =
        _mm512_set_epi32(0x00030003, 0x00030003, 0x00030003, 0x00030003, 0x00020002, 0x00020002, 0x00020002,
                         0x00020002, 0x00010001, 0x00010001, 0x00010001, 0x00010001, 0, 0, 0, 0);
    for (int c = 0; c < 4; ++c)
      out[c] =
          _mm512_permutexvar_epi16(_mm512_add_epi16(first, _mm512_set1_epi16(static_cast<short>(4 * c))), w);
  }

  COTERIE_INLINE static Signs signs(std::uint64_t bits) { return _cvtu64_mask64(bits); }
  COTERIE_INLINE static V negate(V x, Signs s) { return _mm512_mask_sub_epi8(x, s, zero(), x); }

  // The table is eight registers; a two-register permutation looks six bits of the index up, two masks choose
  // by the rest.
  COTERIE_INLINE static V look_up_words(const std::uint16_t* table, __m256i index) {
    const V i = _mm512_cvtepu8_epi16(index);
    V found[4];
    for (int k = 0; k < 4; ++k)
      found[k] = _mm512_permutex2var_epi16(load(table + 64 * k), i, load(table + 64 * k + 32));
    const __mmask32 bit6 = _mm512_test_epi16_mask(i, _mm512_set1_epi16(64));
    const __mmask32 bit7 = _mm512_test_epi16_mask(i, _mm512_set1_epi16(128));
    return _mm512_mask_blend_epi16(bit7, _mm512_mask_blend_epi16(bit6, found[0], found[1]),
                                   _mm512_mask_blend_epi16(bit6, found[2], found[3]));
  }

  template <int lane>
  COTERIE_INLINE static V repeat_lane(V a) {
    return _mm512_shuffle_i64x2(a, a, lane * 0x55);
  }
  COTERIE_INLINE static V each_byte_four_times(V a) {
    const V bytes = _mm512_set_epi32(0x0f0f0f0f, 0x0e0e0e0e, 0x0d0d0d0d, 0x0c0c0c0c, 0x0b0b0b0b, 0x0a0a0a0a,
                                     0x09090909, 0x08080808, 0x07070707, 0x06060606, 0x05050505, 0x04040404,
                                     0x03030303, 0x02020202, 0x01010101, 0);
    return _mm512_shuffle_epi8(a, bytes);
  }
  COTERIE_INLINE static V doublewords(std::uint32_t value) {
    return _mm512_set1_epi32(static_cast<int>(value));
  }

 private:
  COTERIE_INLINE static V halves(int low, int high) {
    return _mm512_inserti64x4(_mm512_set1_epi16(static_cast<short>(low)),
                              _mm256_set1_epi16(static_cast<short>(high)), 1);
  }
};

}  // namespace coterie
