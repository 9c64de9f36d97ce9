// The byte products of x86: pairs of bytes, pairs of words, an add; or the one instruction of VNNI.
#pragma once

#include "kernels/burst.h"

#include <immintrin.h>

namespace coterie {

template <class Register, class Step>
COTERIE_INLINE std::int64_t burst_chains_of(std::int64_t rounds, Register acc, Step step) {
  Register sums[burst_chains];
  for (Register& s : sums) s = acc;
  for (std::int64_t i = 0; i < rounds; ++i)
    for (Register& s : sums) {
      s = step(s);
      touch(s);
    }
  return rounds * burst_chains * 2 * static_cast<std::int64_t>(sizeof(Register));
}

#if defined(__AVX2__)
template <>
struct BurstBytes<Avx2> {
  static std::int64_t run(std::int64_t rounds) {
    __m256i x = _mm256_set1_epi8(1);
    const __m256i ones = _mm256_set1_epi16(1);
    return burst_chains_of(rounds, _mm256_setzero_si256(), [&](__m256i s) {
      touch(x);
      return _mm256_add_epi32(s, _mm256_madd_epi16(_mm256_maddubs_epi16(x, x), ones));
    });
  }
};
#endif

#if defined(__AVX512BW__)
template <>
struct BurstBytes<Avx512> {
  static std::int64_t run(std::int64_t rounds) {
    __m512i x = _mm512_set1_epi8(1);
    const __m512i ones = _mm512_set1_epi16(1);
    return burst_chains_of(rounds, _mm512_setzero_si512(), [&](__m512i s) {
      touch(x);
      return _mm512_add_epi32(s, _mm512_madd_epi16(_mm512_maddubs_epi16(x, x), ones));
    });
  }
};
#endif

#if defined(__AVX512VNNI__)
template <>
struct BurstBytes<Avx512Vnni> {
  static std::int64_t run(std::int64_t rounds) {
    const __m512i x = _mm512_set1_epi8(1);
    return burst_chains_of(rounds, _mm512_setzero_si512(),
                           [&](__m512i s) { return _mm512_dpbusd_epi32(s, x, x); });
  }
};
#endif

}  // namespace coterie
