// Rows of F32, F16 and BF16: no blocks and no integers, 32 lanes of fma and one tree per element
// (base/simd.h).
//
// A few rows' weights are widened once and meet several tokens, as many as the registers hold accumulators for.
#pragma once

#include "base/simd.h"
#include "formats/bf16.h"
#include "formats/f16.h"
#include "formats/f32.h"
#include "kernels/each.h"
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
    // Rows side by side: 2 x 4 sums of 32 lanes fill the registers of the widest ISA.
    constexpr int rows = Lane32::width >= 16 ? 2 : 1;
    int r = 0;
    for (; r + rows <= a.n_rows; r += rows) some_rows<rows>(a, r);
    for (; r < a.n_rows; ++r) some_rows<1>(a, r);
  }

 private:
  static constexpr int prefetch_bytes = 4096;  // this row, then the next

  template <int n_rows>
  COTERIE_INLINE static void some_rows(const RowsArgs& a, int r) {
    int t = 0;
    for (; t + max_tokens <= a.n_tokens; t += max_tokens) tile<n_rows, max_tokens>(a, r, t);
    if constexpr (max_tokens > 1)
      for (; t < a.n_tokens; ++t) tile<n_rows, 1>(a, r, t);
  }

  // Sum i: row i / n_tokens, token i % n_tokens.
  template <int n_rows, int n_tokens>
  COTERIE_INLINE static void tile(const RowsArgs& a, int r, int first) {
    constexpr int sums = n_rows * n_tokens;
    const Block* w[n_rows];
    const float* x[n_tokens];
    Lane32 acc[sums];
    each<n_rows>([&](auto k) __attribute__((always_inline)) {
      w[k] = reinterpret_cast<const Block*>(a.w + (r + k) * a.row_bytes);
    });
    each<n_tokens>([&](auto t) __attribute__((always_inline)) {
      x[t] = reinterpret_cast<const float*>(a.input(first + t));
    });
    each<sums>([&](auto s) __attribute__((always_inline)) { acc[s] = Lane32::broadcast(0.0F); });
    std::int64_t i = 0;
    for (; i + 32 <= a.n; i += 32) {
      Lane32 weights[n_rows];
      each<n_rows>([&](auto k) __attribute__((always_inline)) {
        for (std::size_t line = 0; line < 32 * sizeof(Block); line += 64)
          __builtin_prefetch(reinterpret_cast<const char*>(w[k] + i) + prefetch_bytes + line, 0,
                             2);  // second level
        weights[k] = load(w[k] + i);
      });
      each<n_tokens>([&](auto t) __attribute__((always_inline)) {
        const Lane32 values = Lane32::load(x[t] + i);
        each<n_rows>([&](auto k)
                         __attribute__((always_inline)) { acc[k * n_tokens + t].fma(weights[k], values); });
      });
    }
    const int left = static_cast<int>(a.n - i);
    if (left > 0)
      each<n_rows>([&](auto k) __attribute__((always_inline)) {
        Block padded[32] = {};
        for (int j = 0; j < left; ++j) padded[j] = w[k][i + j];
        const Lane32 weights = load(padded);
        for (int t = 0; t < n_tokens; ++t)
          acc[k * n_tokens + t].fma(weights, Lane32::load_part(x[t] + i, left, 0.0F));
      });
    each<sums>([&](auto s) __attribute__((always_inline)) {
      a.y[(first + s % n_tokens) * a.y_stride + r + s / n_tokens] =
          acc[s].fold([](auto p, auto q) { return p + q; });
    });
  }

  COTERIE_INLINE static Lane32 load(const Block* w) {
    Lane32 l;
    Lane32::each([&](auto i) { l.v[i] = load_weights<Isa>(w + i * Lane32::width); });
    return l;
  }
};

}  // namespace coterie
