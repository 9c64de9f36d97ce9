// Sums of cached rows with weights: four products and an addition are one instruction.
#pragma once

#include "kernels/x86/mix_avx512.h"
#include "kernels/x86/wide_avx512vnni.h"

namespace coterie {

template <VnniIsa Isa>
struct MixOps<Isa> : MixOps<Avx512> {
  COTERIE_INLINE static V dot(V acc, V weights, V codes) { return _mm512_dpbusd_epi32(acc, weights, codes); }
};

}  // namespace coterie
