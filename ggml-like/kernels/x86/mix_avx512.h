// Sums of cached rows with weights: the byte products of AVX-512.
#pragma once

#include "kernels/x86/mix.h"
#include "kernels/x86/wide_avx512.h"

namespace coterie {

template <>
struct MixDot<Avx512> {
  COTERIE_INLINE static __m512i run(__m512i acc, __m512i weights, __m512i codes) {
    using W = Wide<Avx512>;
    return W::add_products(acc, W::pair_products(weights, codes), _mm512_set1_epi16(1));
  }
};

}  // namespace coterie
