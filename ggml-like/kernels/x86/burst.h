// The byte products of x86: pairs of bytes, pairs of words, an add; or the one instruction of VNNI.
#pragma once

#include "kernels/burst.h"

#include <immintrin.h>

namespace coterie {

template <class Register, class Step>
COTERIE_INLINE std::int64_t burst_chains_of(std::int64_t rounds, Register zero, Step step) {
  Register sums[burst_chains];
  each_chain(
      sums, [&](Register & s) __attribute__((always_inline)) { s = zero; });
  const auto touched = [&](Register & s) __attribute__((always_inline)) {
    s = step(s);
    touch(s);
  };
  for (std::int64_t i = 0; i < rounds; ++i) each_chain(sums, touched);
  return rounds * burst_chains * 2 * static_cast<std::int64_t>(sizeof(Register));
}

}  // namespace coterie
