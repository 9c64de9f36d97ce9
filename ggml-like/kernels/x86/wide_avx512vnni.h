// AVX-512 with VNNI: a multiply, a sum and an add become one instruction; everything else is as in
// wide_avx512.h.
#pragma once

#include "kernels/x86/wide_avx512.h"

namespace coterie {

// Objects of wider ISAs keep code of their own, so that none is compiled for more than its table promises.
template <class Isa>
concept VnniIsa = std::is_base_of_v<Avx512Vnni, Isa>;

template <>
struct Wide<Avx512Vnni> : Wide<Avx512> {
  COTERIE_INLINE static V add_products(V acc, V a, V b) { return _mm512_dpwssd_epi32(acc, a, b); }
  COTERIE_INLINE static __m256i add_products(__m256i acc, __m256i a, __m256i b) {
    return _mm256_dpwssd_epi32(acc, a, b);
  }

  // Sums of four products fit a word while no code is above 64, so that two registers of them are packed into one: half
  // the scales, half the products with them. Packing works within lanes: groups l and 4 + l in lane l, then 8 + l and 12 + l.
  using Scales = V[2];
  COTERIE_INLINE static void lay_out(__m256i words, Scales& out) {
    const V w = _mm512_castsi256_si512(words);
    const V first = _mm512_set_epi16(7, 7, 7, 7, 3, 3, 3, 3, 6, 6, 6, 6, 2, 2, 2, 2, 5, 5, 5, 5, 1, 1, 1, 1,
                                     4, 4, 4, 4, 0, 0, 0, 0);
    out[0] = _mm512_permutexvar_epi16(first, w);
    out[1] = _mm512_permutexvar_epi16(_mm512_add_epi16(first, _mm512_set1_epi16(8)), w);
  }
  COTERIE_INLINE static int scale_at(int group) {
    return group / 8 * 32 + group % 4 * 8 + group / 4 % 2 * 4;
  }  // word
  COTERIE_INLINE static V products(V a, V b) { return _mm512_dpbusd_epi32(zero(), a, b); }
  COTERIE_INLINE static V weigh(V acc, const V (&products)[4], const Scales& scales) {
    acc = add_products(acc, _mm512_packs_epi32(products[0], products[1]), scales[0]);
    return add_products(acc, _mm512_packs_epi32(products[2], products[3]), scales[1]);
  }

  COTERIE_INLINE static __m256i dot32(__m256i a, __m256i b) {
    return _mm256_dpbusd_epi32(_mm256_setzero_si256(), a, b);
  }
  // a + 128 is unsigned.
  static constexpr int signed_offset = 128;
  COTERIE_INLINE static __m256i signed_dot32(__m256i a, __m256i b) {
    return dot32(_mm256_xor_si256(a, _mm256_set1_epi8(-128)), b);
  }
};

}  // namespace coterie
