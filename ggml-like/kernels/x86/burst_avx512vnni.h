// The byte products that avx512vnni has, and what builds on it.
#pragma once

#include "kernels/x86/burst.h"

#include <type_traits>

namespace coterie {

template <class Isa>
requires std::is_base_of_v<Avx512Vnni, Isa>
struct BurstBytes<Isa> {
  static std::int64_t run(std::int64_t rounds) {
    const __m512i x = _mm512_set1_epi8(1);
    return burst_chains_of(rounds, _mm512_setzero_si512(),
                           [&](__m512i s) { return _mm512_dpbusd_epi32(s, x, x); });
  }
};

}  // namespace coterie
