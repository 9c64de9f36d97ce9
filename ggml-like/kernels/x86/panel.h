// Products with many tokens on x86: panels of rows, unpacked once for up to panel_tokens tokens.
//
//   for 256 columns at a time          the activations of these columns side by side (gathered)
//     for sixteen rows at a time       unpack 16 x 256 columns to a panel, lane = row
//       for a few tokens at a time   y[t][r] takes one step: its next blocks, in ascending order
//
// A panel stays in the first-level cache, the gathered activations and the sums in the second. The sums are kept side
// by side until all columns are done: those of y lie a row of the whole matrix apart, often in the same few sets of the
// cache (Zen 4, Q8_0, 128 tokens, 18432 rows: 130 GMAC/s in y, 164 so). Every block is one fma on what the blocks
// before it left there, as in rows.h, so that the bits are those of the one-token kernels.
#pragma once

#include "kernels/each.h"
#include "kernels/rows.h"
#include "kernels/x86/wide_avx2.h"

#include <algorithm>

namespace coterie {

constexpr int panel_columns = 256;
constexpr int panel_tokens = 128;
constexpr int panel_worth = 4;           // fewer tokens do not pay for the unpacking
constexpr int memory_bound_tokens = 40;  // the memory is slower than the products of so few

constexpr int panel_rows = 256;  // whose sums are kept, at most
constexpr int panel_lanes = 16;  // rows of a panel

// How rows of F become panels on Isa:
//   tile                              tokens that meet a panel at once, at most
//   begin(n_tokens), end()            around all calls of multiply: as many tokens, or fewer, will meet a panel at once
//   Panel, fill(row, n_columns, p)    the blocks at row[0 .. panel_lanes)
//   Input, gather(x, n_columns, in)   one token's activations of these columns
//   multiply(p, in, n_tokens, n_columns, y)   y[t][lane] takes one step
template <class F, class Isa>
struct PanelOps;

template <class F, class Isa>
concept PaneledFormat = requires {
  typename PanelOps<F, Isa>::Panel;
};

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
    if (a.n_tokens <= memory_bound_tokens) read_ahead(a);
    for (int r = 0; r < a.n_rows; r += panel_rows)
      for (int t = 0; t < a.n_tokens; t += share)
        PanelRows(a, {r, std::min(panel_rows, a.n_rows - r)}, {t, std::min(share, a.n_tokens - t)})
            .all_columns();
  }

 private:
  using Activation = typename F::Activation;
  static constexpr std::int64_t block_bytes = sizeof(typename F::Block);
  static constexpr std::int64_t panel_bytes = panel_columns / F::block_size * block_bytes;
  static constexpr int x_blocks = panel_columns / Activation::block_size;

  struct Range {
    int first, count;
  };

  COTERIE_INLINE PanelRows(const RowsArgs& a, Range rows, Range tokens)
      : a_(a), rows_(rows), tokens_(tokens), tile_(equal_share(tokens.count, Ops::tile)) {}

  COTERIE_INLINE void all_columns() {
    const std::byte* w = a_.w + rows_.first * a_.row_bytes;
    for (int r = 0; r < rows_.count; r += panel_lanes)
      std::fill_n(y_[r / panel_lanes][0], tokens_.count * panel_lanes, 0.0F);
    Ops::begin(tile_);
    for (std::int64_t column = 0; column < a_.n; column += panel_columns, w += panel_bytes) {
      n_columns_ = static_cast<int>(std::min<std::int64_t>(panel_columns, a_.n - column));
      for (int t = 0; t < tokens_.count; ++t) {
        const auto* x = reinterpret_cast<const Activation*>(a_.input(tokens_.first + t)) +
                        column / panel_columns * x_blocks;
        prefetch(x + x_blocks, x_blocks * sizeof(Activation));
        Ops::gather(x, n_columns_, inputs_[t]);
      }
      for (int r = 0; r < rows_.count; r += panel_lanes) some_rows(r, w);
    }
    Ops::end();
    for (int t = 0; t < tokens_.count; ++t)
      for (int r = 0; r < rows_.count; r += panel_lanes)
        std::copy_n(y_[r / panel_lanes][t], std::min(panel_lanes, rows_.count - r),
                    a_.y + (tokens_.first + t) * a_.y_stride + rows_.first + r);
  }

  COTERIE_INLINE void some_rows(int first, const std::byte* w) {
    const std::byte* row[panel_lanes];  // a missing row repeats the last
    for (int i = 0; i < panel_lanes; ++i) row[i] = w + std::min(first + i, rows_.count - 1) * a_.row_bytes;
    Ops::fill(row, n_columns_, panel_);

    const int n_tiles = (tokens_.count + tile_ - 1) / tile_;
    const int step = (panel_lanes + n_tiles - 1) / n_tiles;
    int next = 0;  // row to be prefetched
    for (int t = 0; t < tokens_.count; t += tile_) {
      for (const int end = std::min(next + step, panel_lanes); next < end; ++next)
        prefetch(row[next] + panel_bytes, panel_bytes);
      Ops::multiply(panel_, inputs_ + t, std::min(tile_, tokens_.count - t), n_columns_,
                    y_[first / panel_lanes] + t);
    }
  }

  // The rows as one stream into the second level, before they are read sixteen at a time, 256 columns of each: the
  // processor's own prefetchers follow a stream only (Sapphire Rapids, R1's experts with 16 tokens each: a prompt
  // 1.11 times as fast).
  COTERIE_INLINE static void read_ahead(const RowsArgs& a) {
    constexpr std::int64_t most = 512 << 10;
    prefetch(a.w, std::min(a.n_rows * a.row_bytes, most));
  }

  // The next columns, of a token or a row: needed when all others have had their turn. A few at a time, or they
  // fill the miss buffers. Past the end is no harm.
  COTERIE_INLINE static void prefetch(const void* p, std::int64_t n) {
    for (std::int64_t line = 0; line < n; line += 64)
      _mm_prefetch(static_cast<const char*>(p) + line, _MM_HINT_T1);
    _mm_prefetch(static_cast<const char*>(p) + n - 1, _MM_HINT_T1);
  }

  const RowsArgs& a_;
  const Range rows_, tokens_;
  const int tile_;  // tokens that meet a panel at once
  int n_columns_ = 0;
  typename Ops::Panel panel_;
  typename Ops::Input inputs_[panel_tokens];
  alignas(64) float y_[panel_rows / panel_lanes][panel_tokens][panel_lanes];
};

}  // namespace coterie
