// Sixteen groups of weights side by side, one per lane: how the searching encoders use vectors.
//
// Every lane is a problem of its own, so sums need no tree, and how many lanes a register holds changes no bit. A
// super-block has 16 groups of 16 weights, or 8 of 32: then each stands in two lanes, which try different candidates;
// a single block of 32 stands in all sixteen.
#pragma once

#include "base/simd.h"
#include "formats/importance.h"

namespace coterie {

struct Sixteen {
  static constexpr int lanes = 16;
  int group;                    // weights per lane
  int groups;                   // lane l holds group l % groups
  alignas(64) float x[32][16];  // weight i of the lane's group
  alignas(64) float w[32][16];  // its importance, above 0 and at most 1
  int copies() const { return lanes / groups; }
};

// groups * group weights into lanes.
COTERIE_INLINE void spread(const float* x, const float* importance, int group, int groups, Sixteen& p) {
  p.group = group;
  p.groups = groups;
  alignas(64) float w[256];
  if (importance != nullptr) normalise_importance(importance, group * groups, w);
  for (int i = 0; i < group; ++i)
    for (int l = 0; l < Sixteen::lanes; l += groups)
      for (int g = 0; g < groups; ++g) {
        p.x[i][l + g] = x[g * group + i];
        p.w[i][l + g] = importance != nullptr ? w[g * group + i] : 1.0F;
      }
}

// A number per lane.
struct LaneValues {
  alignas(64) float v[Sixteen::lanes];
  COTERIE_INLINE constexpr float& operator[](int lane) { return v[lane]; }
  COTERIE_INLINE constexpr float operator[](int lane) const { return v[lane]; }
};

// f(at) for the first lane of every register.
template <class Isa, class F>
COTERIE_INLINE void each_register(F f) {
  constexpr int width = static_cast<int>(Isa::Batch::size);
  for (int at = 0; at < Sixteen::lanes; at += width) f(at);
}

}  // namespace coterie
