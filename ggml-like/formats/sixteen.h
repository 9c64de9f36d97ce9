// Sixteen groups of weights side by side, one per lane: how the searching encoders use vectors.
//
// Every lane is a problem of its own, so sums need no tree, and how many lanes a register holds changes no bit. A
// super-block has 16 groups of 16 weights, or 8 of 32: then each stands in two lanes, which try different candidates;
// a single block of 32 stands in all sixteen.
#pragma once

#include "base/simd.h"
#include "formats/integers.h"

namespace coterie {

struct Sixteen {
  static constexpr int lanes = 16;
  int group;                    // weights per lane
  int groups;                   // lane l holds group l % groups
  alignas(64) float x[32][16];  // weight i of the lane's group
  alignas(64) float w[32][16];  // its importance, above 0 and at most 1
  int copies() const { return lanes / groups; }
};

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

// groups * group weights into lanes.
COTERIE_INLINE void spread(const float* x, const float* importance, int group, int groups, Sixteen& p) {
  p.group = group;
  p.groups = groups;
  alignas(64) float w[256];
  normalise_importance(importance, group * groups, w);
  for (int g = 0; g < Sixteen::lanes; ++g)
    for (int i = 0; i < group; ++i) {
      p.x[i][g] = x[g % groups * group + i];
      p.w[i][g] = w[g % groups * group + i];
    }
}

// A number per lane.
struct LaneValues {
  alignas(64) float v[Sixteen::lanes];
  COTERIE_INLINE float& operator[](int lane) { return v[lane]; }
  COTERIE_INLINE float operator[](int lane) const { return v[lane]; }
};

}  // namespace coterie
