// AVX-512 with VNNI: a multiply, a sum and an add become one instruction; everything else is as in
// wide_avx512.h.
#pragma once

#include "kernels/x86/wide_avx512.h"

namespace coterie {

template <>
struct Wide<Avx512Vnni> : Wide<Avx512> {
  COTERIE_INLINE static V add_products(V acc, V a, V b) { return _mm512_dpwssd_epi32(acc, a, b); }
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
