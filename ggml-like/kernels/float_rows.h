// Rows of F32, F16 and BF16: no blocks and no integers, 32 lanes of fma and one tree per element
// (base/simd.h).
//
// A row's weights are widened once and meet several tokens, as many as the registers hold accumulators for.
#pragma once

#include "base/simd.h"
#include "formats/bf16.h"
#include "formats/f16.h"
#include "formats/f32.h"
#include "kernels/rows.h"

namespace coterie {

template <class Isa>
COTERIE_INLINE typename Isa::Batch load_weights(const F32::Block* w) {
  return Isa::Batch::load_unaligned(reinterpret_cast<const float*>(w));
}
template <class Isa>
COTERIE_INLINE typename Isa::Batch load_weights(const F16::Block* w) {
  return Isa::load_half(reinterpret_cast<const std::uint16_t*>(w));
}
template <class Isa>
COTERIE_INLINE typename Isa::Batch load_weights(const BF16::Block* w) {
  return Isa::load_bf16(reinterpret_cast<const std::uint16_t*>(w));
}

template <class F>
concept FloatFormat = std::is_same_v<typename F::Activation, ActF32>;

template <FloatFormat F, class Isa>
struct Rows<F, Isa> {
  using Block = typename F::Block;
  using Lane32 = Lanes<Isa>;
  static constexpr int max_tokens = Lane32::width / 4;

  static void run(const RowsArgs& a) {
    for (int r = 0; r < a.n_rows; ++r) {
      const auto* w = reinterpret_cast<const Block*>(a.w + r * a.row_bytes);
      int t = 0;
      for (; t + max_tokens <= a.n_tokens; t += max_tokens) row<max_tokens>(a, w, r, t);
      for (; t < a.n_tokens; ++t) row<1>(a, w, r, t);
    }
  }

 private:
  static constexpr int prefetch_bytes = 4096;  // this row, then the next

  template <int n_tokens>
  COTERIE_INLINE static void row(const RowsArgs& a, const Block* w, int r, int first) {
    const float* x[n_tokens];
    Lane32 acc[n_tokens];
    for (int t = 0; t < n_tokens; ++t) {
      x[t] = reinterpret_cast<const float*>(a.input(first + t));
      acc[t] = Lane32::broadcast(0.0F);
    }
    std::int64_t i = 0;
    for (; i + 32 <= a.n; i += 32) {
      for (std::size_t line = 0; line < 32 * sizeof(Block); line += 64)
        __builtin_prefetch(reinterpret_cast<const char*>(w + i) + prefetch_bytes + line, 0,
                           2);  // second level
      const Lane32 weights = load(w + i);
      for (int t = 0; t < n_tokens; ++t) acc[t].fma(weights, Lane32::load(x[t] + i));
    }
    const int left = static_cast<int>(a.n - i);
    if (left > 0) {
      Block padded[32] = {};
      for (int j = 0; j < left; ++j) padded[j] = w[i + j];
      const Lane32 weights = load(padded);
      for (int t = 0; t < n_tokens; ++t) acc[t].fma(weights, Lane32::load_part(x[t] + i, left, 0.0F));
    }
    for (int t = 0; t < n_tokens; ++t)
      a.y[(first + t) * a.y_stride + r] = acc[t].fold([](auto p, auto q) { return p + q; });
  }

  COTERIE_INLINE static Lane32 load(const Block* w) {
    Lane32 l;
    Lane32::each([&](auto i) { l.v[i] = load_weights<Isa>(w + i * Lane32::width); });
    return l;
  }
};

}  // namespace coterie
