// Sums of cached rows with weights, in exact integers: kernels.h, MixArgs.
#pragma once

#include "formats/activation.h"
#include "formats/q8_0.h"
#include "kernels/kernels.h"

namespace coterie {

template <class Isa>
struct Mix {
  static void run(const MixArgs& a) {
    for (int t = 0; t < a.n_tokens; ++t)
      for (std::int64_t column = 0; column < a.n; column += Q8_0::block_size) block(a, t, column);
  }

 private:
  COTERIE_INLINE static const Q8_0::Block& at(const MixArgs& a, int position, std::int64_t column) {
    return reinterpret_cast<const Q8_0::Block*>(a.v + position * a.v_bytes)[column / Q8_0::block_size];
  }

  static void block(const MixArgs& a, int t, std::int64_t column) {
    float products[mix_positions] = {};
    for (int p = 0; p < a.n_positions; ++p)
      products[p] = a.weights[t * mix_positions + p] * half_to_float(at(a, p, column).scale.bits);
    std::int8_t u[mix_positions];
    const float scale = quantize_values<mix_positions>(products, u);
    std::int32_t isum[Q8_0::block_size] = {};
    for (int p = 0; p < a.n_positions; ++p) {
      const std::int8_t* q = at(a, p, column).q;
      for (int c = 0; c < Q8_0::block_size; ++c) isum[c] += u[p] * q[c];
    }
    float* y = a.y + t * a.y_stride + column;
    for (int c = 0; c < Q8_0::block_size; ++c)
      y[c] = Isa::fma(scale, static_cast<float>(isum[c]), y[c] * a.keep[t]);
  }
};

}  // namespace coterie
