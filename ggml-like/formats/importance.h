// What every searching encoder makes of its input before it searches.
#pragma once

#include "formats/integers.h"

namespace coterie {

// Numbers, and not so large that sums of their squares overflow: far above what any block can hold.
COTERIE_INLINE bool within_reach(const float* x, int n) {
  std::uint32_t top = 0;
  for (int i = 0; i < n; ++i) {
    const std::uint32_t magnitude = bits_of(x[i]) & 0x7fffffffU;
    top = magnitude > top ? magnitude : top;
  }
  return top < bits_of(0x1p40F);
}

// Importance as the searches use it: the largest becomes 1, the smallest 2^-20, so that every sum of weights is a
// fair number; what is no number or below zero counts as zero, and where all is zero all count alike.
COTERIE_INLINE void normalise_importance(const float* importance, int n, float* w) {
  float top = 0.0F;
  for (int i = 0; importance != nullptr && i < n; ++i) {
    const float v = importance[i] > 0.0F ? importance[i] : 0.0F;  // NaN too
    w[i] = v < 0x1p100F ? v : 0x1p100F;
    top = w[i] > top ? w[i] : top;
  }
  for (int i = 0; i < n; ++i) {
    const float v = top > 0.0F ? w[i] / top : 1.0F;
    w[i] = v > 0x1p-20F ? v : 0x1p-20F;
  }
}

}  // namespace coterie
