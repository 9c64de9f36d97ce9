// The byte products that avx2 has.
#pragma once

#include "kernels/x86/burst.h"

namespace coterie {

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

}  // namespace coterie
