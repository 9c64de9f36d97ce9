// The byte products that avx512vnni has.
#pragma once

#include "kernels/x86/burst.h"

namespace coterie {

template <>
struct BurstBytes<Avx512Vnni> {
  static std::int64_t run(std::int64_t rounds) {
    const __m512i x = _mm512_set1_epi8(1);
    return burst_chains_of(rounds, _mm512_setzero_si512(),
                           [&](__m512i s) { return _mm512_dpbusd_epi32(s, x, x); });
  }
};

}  // namespace coterie
