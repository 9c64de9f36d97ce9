// The byte products that avx512 has.
#pragma once

#include "kernels/x86/burst.h"

namespace coterie {

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

}  // namespace coterie
