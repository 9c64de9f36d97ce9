// Products with many tokens on x86: panels of rows, unpacked once for up to panel_tokens tokens.
//
//   for 256 columns at a time          the activations of these columns side by side (gathered)
//     for `rows` rows at a time        unpack rows x 256 columns to a panel, lane = row
//       for panel_tile tokens at a time   y[t][r] takes one step: its next blocks, in ascending order
//
// A panel stays in the first-level cache, the gathered activations and the part of y in the second. y itself
// is the accumulator: every block is one fma on what the blocks before it left there, as in rows.h, so that
// the bits are those of the one-token kernels.
#pragma once

#include "kernels/rows.h"
#include "kernels/x86/wide_avx2.h"

#include <algorithm>
#include <utility>

namespace coterie {

constexpr int panel_columns = 256;
constexpr int panel_tile = 8;
constexpr int panel_tokens = 128;
constexpr int panel_worth = 4;  // fewer tokens do not pay for the unpacking

// Where a tile's results are: y[t * stride + r] for r < n_rows.
struct PanelOutput {
  float* y;
  std::int64_t stride;
  int n_rows;
  bool first;  // nothing is there yet
};

// How rows of F become panels on Isa:
//   rows                              how many, one to a lane
//   Panel, fill(row, n_columns, p)    the blocks at row[0 .. rows)
//   Input, gather(x, n_columns, in)   one token's activations of these columns
//   multiply<n_tokens>(p, in, n_columns, out)
template <class F, class Isa>
struct PanelOps;

template <class F, class Isa>
concept PaneledFormat = requires {
  typename PanelOps<F, Isa>::Panel;
};

// f(i) for i < n, i a constant, so that arrays of registers are registers.
template <int n, class F>
COTERIE_INLINE void each(F f) {
  [&]<int... i>(std::integer_sequence<int, i...>) __attribute__((always_inline)) {
    (f(std::integral_constant<int, i>{}), ...);
  }
  (std::make_integer_sequence<int, n>{});
}

template <class F, class Isa>
class PanelRows {
 public:
  static void run(const RowsArgs& a) {
    // Equal shares, so that the last one is worth its unpacking too.
    const int shares = (a.n_tokens + panel_tokens - 1) / panel_tokens;
    const int share = ((a.n_tokens + shares - 1) / shares + panel_tile - 1) / panel_tile * panel_tile;
    for (int t = 0; t < a.n_tokens; t += share) some_tokens(a, t, std::min(share, a.n_tokens - t));
  }

 private:
  using Ops = PanelOps<F, Isa>;
  using Activation = typename F::Activation;
  static constexpr std::int64_t panel_bytes = panel_columns / F::block_size * sizeof(typename F::Block);

  static void some_tokens(const RowsArgs& a, int first_token, int n_tokens) {
    typename Ops::Input inputs[panel_tokens];
    std::int64_t at = 0;  // in the row
    for (std::int64_t column = 0; column < a.n; column += panel_columns, at += panel_bytes) {
      const int n_columns = static_cast<int>(std::min<std::int64_t>(panel_columns, a.n - column));
      for (int t = 0; t < n_tokens; ++t)
        Ops::gather(
            reinterpret_cast<const Activation*>(a.input(first_token + t)) + column / Activation::block_size,
            n_columns, inputs[t]);
      const std::int64_t left = a.row_bytes - at - panel_bytes;
      for (int r = 0; r < a.n_rows; r += Ops::rows) {
        const int n_rows = std::min(Ops::rows, a.n_rows - r);
        const std::byte* row[Ops::rows];  // a missing row repeats the last
        for (int i = 0; i < Ops::rows; ++i) row[i] = a.w + (r + std::min(i, n_rows - 1)) * a.row_bytes + at;
        typename Ops::Panel panel;
        Ops::fill(row, n_columns, panel);
        if (left > 0) prefetch(row, std::min(left, panel_bytes));
        multiply(panel, inputs, n_columns, n_tokens,
                 {a.y + first_token * a.y_stride + r, a.y_stride, n_rows, column == 0});
      }
    }
  }

  // The next columns of the same rows: needed when all other rows have had their turn.
  COTERIE_INLINE static void prefetch(const std::byte* const (&row)[Ops::rows], std::int64_t n) {
    for (const std::byte* r : row)
      for (std::int64_t line = 0; line < n; line += 64)
        _mm_prefetch(reinterpret_cast<const char*>(r + panel_bytes + line), _MM_HINT_T1);
  }

  COTERIE_INLINE static void multiply(const typename Ops::Panel& panel, const typename Ops::Input* inputs,
                                      int n_columns, int n_tokens, PanelOutput out) {
    int t = 0;
    for (; t + panel_tile <= n_tokens; t += panel_tile, out.y += panel_tile * out.stride)
      Ops::template multiply<panel_tile>(panel, inputs + t, n_columns, out);
    each<panel_tile - 1>([&](auto i) __attribute__((always_inline)) {
      if (n_tokens - t == i + 1) Ops::template multiply<i + 1>(panel, inputs + t, n_columns, out);
    });
  }
};

}  // namespace coterie
