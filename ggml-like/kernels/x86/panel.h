// Products with many tokens on x86: panels of rows, unpacked once for up to panel_tokens tokens.
//
//   for 256 columns at a time          the activations of these columns side by side (gathered)
//     for `rows` rows at a time        unpack rows x 256 columns to a panel, lane = row
//       for a few tokens at a time   y[t][r] takes one step: its next blocks, in ascending order
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
//   tile                              tokens that meet a panel at once, at most
//   begin(n_tokens), end()            around all calls of multiply: as many tokens, or fewer, will meet a panel at once
//   Panel, fill(row, n_columns, p)    the blocks at row[0 .. rows)
//   Input, gather(x, n_columns, in)   one token's activations of these columns
//   multiply(p, in, n_tokens, n_columns, out)
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

// f(n) for n in 1 .. most, n a constant.
template <int most, class F>
COTERIE_INLINE void with_constant(int n, F f) {
  each<most>([&](auto i) __attribute__((always_inline)) {
    if (n == i + 1) f(std::integral_constant<int, i + 1>{});
  });
}

// n in as few equal shares of at most `most` as there can be: the last is not worth less than the others.
COTERIE_INLINE int equal_share(int n, int most) {
  const int shares = (n + most - 1) / most;
  return (n + shares - 1) / shares;
}

template <class F, class Ops>
class PanelRows {
 public:
  static void run(const RowsArgs& a) {
    const int share = equal_share(a.n_tokens, panel_tokens);
    for (int t = 0; t < a.n_tokens; t += share)
      PanelRows(a, t, std::min(share, a.n_tokens - t)).all_columns();
  }

 private:
  using Activation = typename F::Activation;
  static constexpr std::int64_t block_bytes = sizeof(typename F::Block);
  static constexpr std::int64_t panel_bytes = panel_columns / F::block_size * block_bytes;
  static constexpr int x_blocks = panel_columns / Activation::block_size;

  COTERIE_INLINE PanelRows(const RowsArgs& a, int first_token, int n_tokens)
      : a_(a), first_token_(first_token), n_tokens_(n_tokens), tile_(equal_share(n_tokens, Ops::tile)) {}

  COTERIE_INLINE void all_columns() {
    const std::byte* w = a_.w;
    Ops::begin(tile_);
    for (std::int64_t column = 0; column < a_.n; column += panel_columns, w += panel_bytes) {
      n_columns_ = static_cast<int>(std::min<std::int64_t>(panel_columns, a_.n - column));
      for (int t = 0; t < n_tokens_; ++t) {
        const auto* x = reinterpret_cast<const Activation*>(a_.input(first_token_ + t)) +
                        column / panel_columns * x_blocks;
        prefetch(x + x_blocks, x_blocks * sizeof(Activation));
        Ops::gather(x, n_columns_, inputs_[t]);
      }
      for (int r = 0; r < a_.n_rows; r += Ops::rows) some_rows(r, w + r * a_.row_bytes, column == 0);
    }
    Ops::end();
  }

  COTERIE_INLINE void some_rows(int first, const std::byte* w, bool is_first) {
    const int n_rows = std::min(Ops::rows, a_.n_rows - first);
    const std::byte* row[Ops::rows];  // a missing row repeats the last
    for (int i = 0; i < Ops::rows; ++i) row[i] = w + std::min(i, n_rows - 1) * a_.row_bytes;
    Ops::fill(row, n_columns_, panel_);

    PanelOutput out{a_.y + first_token_ * a_.y_stride + first, a_.y_stride, n_rows, is_first};
    const int n_tiles = (n_tokens_ + tile_ - 1) / tile_;
    const int step = (Ops::rows + n_tiles - 1) / n_tiles;
    int next = 0;  // row to be prefetched
    for (int t = 0; t < n_tokens_; t += tile_, out.y += tile_ * out.stride) {
      for (const int end = std::min(next + step, Ops::rows); next < end; ++next)
        prefetch(row[next] + panel_bytes, panel_bytes);
      Ops::multiply(panel_, inputs_ + t, std::min(tile_, n_tokens_ - t), n_columns_, out);
    }
  }

  // The next columns, of a token or a row: needed when all others have had their turn. A few at a time, or they
  // fill the miss buffers. Past the end is no harm.
  COTERIE_INLINE static void prefetch(const void* p, std::int64_t n) {
    for (std::int64_t line = 0; line < n; line += 64)
      _mm_prefetch(static_cast<const char*>(p) + line, _MM_HINT_T1);
    _mm_prefetch(static_cast<const char*>(p) + n - 1, _MM_HINT_T1);
  }

  const RowsArgs& a_;
  const int first_token_, n_tokens_;
  const int tile_;  // tokens that meet a panel at once
  int n_columns_ = 0;
  typename Ops::Panel panel_;
  typename Ops::Input inputs_[panel_tokens];
};

}  // namespace coterie
