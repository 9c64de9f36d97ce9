// Sums of cached rows with weights: four products and an addition are one instruction.
#pragma once

#include "kernels/x86/mix.h"
#include "kernels/x86/wide_avx512vnni.h"

namespace coterie {

template <VnniIsa Isa>
struct MixDot<Isa> {
  COTERIE_INLINE static __m512i run(__m512i acc, __m512i weights, __m512i codes) {
    return _mm512_dpbusd_epi32(acc, weights, codes);
  }
};

}  // namespace coterie
