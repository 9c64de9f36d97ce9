// The rows kernel for any format on any ISA: correct from the day a format is listed, specialised where it
// pays.
//
//   y[t][r] = dot(row r, x[t]), one float accumulator per element, blocks in ascending order
//   (formats/integers.h)
//
// A block is unpacked once and meets up to eight tokens. Float formats have their own version in
// float_rows.h, the hot block formats theirs in x86/.
#pragma once

#include "base/inline.h"
#include "formats/integers.h"
#include "kernels/kernels.h"

namespace coterie {

template <class F, class Isa>
struct Rows {
  using Activation = typename F::Activation;
  static constexpr int max_tokens = 8;

  static void run(const RowsArgs& a) {
    for (int r = 0; r < a.n_rows; ++r)
      for (int t = 0; t < a.n_tokens; t += max_tokens) {
        const int n_tokens = a.n_tokens - t < max_tokens ? a.n_tokens - t : max_tokens;
        float acc[max_tokens] = {};
        row(a, r, t, n_tokens, acc);
        for (int i = 0; i < n_tokens; ++i) a.y[(t + i) * a.y_stride + r] = acc[i];
      }
  }

 private:
  COTERIE_INLINE static void row(const RowsArgs& a, int r, int first, int n_tokens, float* acc) {
    constexpr int x_per_block = F::block_size / Activation::block_size;
    const auto* blocks = reinterpret_cast<const typename F::Block*>(a.w + r * a.row_bytes);
    for (std::int64_t b = 0; b < a.n / F::block_size; ++b) {
      typename F::Integers u;
      F::unpack(blocks[b], u);
      for (int t = 0; t < n_tokens; ++t) {
        const auto* xs = reinterpret_cast<const Activation*>(a.input(first + t)) + b * x_per_block;
        acc[t] = accumulate_integers<F::has_mins>(u, xs, acc[t]);
      }
    }
  }
};

}  // namespace coterie
