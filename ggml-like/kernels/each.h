// Loops over constants.
#pragma once

#include "base/inline.h"

#include <type_traits>
#include <utility>

namespace coterie {

// f(i) for i < n, i a constant, so that arrays of registers are registers.
template <int n, class F>
COTERIE_INLINE void each(F f) {
  [&]<int... i>(std::integer_sequence<int, i...>) __attribute__((always_inline)) {
    (f(std::integral_constant<int, i>{}), ...);
  }
  (std::make_integer_sequence<int, n>{});
}

// f(n) for n in 1 .. most, n a constant.
template <int most, class F>
COTERIE_INLINE void with_constant(int n, F f) {
  each<most>([&](auto i) __attribute__((always_inline)) {
    if (n == i + 1) f(std::integral_constant<int, i + 1>{});
  });
}

}  // namespace coterie
