// Rows of blocks on x86: eight rows at a time, in two stages.
//
//   integers   for each row, block after block: unpack once, meet every token; what is left of a block's
//   exact sum are
//              eight doublewords per token, stored and not yet added up
//   floats     for each block: the sums of eight rows through one transposing tree, then
//              acc = fma(d * x.scale, isum, acc) for the eight rows at once, lane = row
//
// A row is streamed in pieces of a few kilobytes, so that the stored sums stay in the first-level cache; the
// order of the float chain is blocks ascending whatever the piece.
#pragma once

#include "kernels/rows.h"
#include "kernels/x86/wide_avx2.h"

#include <type_traits>

namespace coterie {

constexpr int tile_rows = 8;
using RowSums = __m256i[tile_rows];  // of one block, for each row

// How blocks of F are multiplied on Isa:
//   Unpacked               one block, ready to meet activations; d and m are its float scales
//   unpack(block, u)
//   sums(u, x, isum, msum) the exact sums of one block and one activation block, each spread over eight
//   doublewords;
//                          msum only for superblocks with minima
template <class F, class Isa>
struct BlockOps;

template <class F, class Isa>
concept TiledFormat = requires {
  typename BlockOps<F, Isa>::Unpacked;
};

// Lane r: the sum of the eight doublewords of v[r].
COTERIE_INLINE __m256i add_up(const RowSums& v) {
  const __m256i a = _mm256_hadd_epi32(_mm256_hadd_epi32(v[0], v[1]), _mm256_hadd_epi32(v[2], v[3]));
  const __m256i b = _mm256_hadd_epi32(_mm256_hadd_epi32(v[4], v[5]), _mm256_hadd_epi32(v[6], v[7]));
  return _mm256_add_epi32(_mm256_permute2x128_si256(a, b, 0x20), _mm256_permute2x128_si256(a, b, 0x31));
}

template <class F, class Isa, int n_tokens>
class Tile {
 public:
  COTERIE_INLINE Tile(const RowsArgs& a, int row, int token)
      : w_(a.w + row * a.row_bytes),
        row_bytes_(a.row_bytes),
        n_rows_(a.n_rows - row < tile_rows ? a.n_rows - row : tile_rows),
        n_blocks_(a.n / F::block_size) {
    for (int t = 0; t < n_tokens; ++t) {
      x_[t] = reinterpret_cast<const Activation*>(a.x + (token + t) * a.x_bytes);
      acc_[t] = _mm256_setzero_ps();
    }
    if (n_rows_ < tile_rows) clear_unused();
  }

  COTERIE_INLINE void run() {
    for (std::int64_t first = 0; first < n_blocks_; first += piece) {
      const int n = static_cast<int>(n_blocks_ - first < piece ? n_blocks_ - first : piece);
      for (int r = 0; r < n_rows_; ++r) integers(r, first, n);
      floats(first, n);
    }
  }

  COTERIE_INLINE void store(float* y, std::int64_t y_stride) const {
    for (int t = 0; t < n_tokens; ++t, y += y_stride) {
      if (n_rows_ == tile_rows) {
        _mm256_storeu_ps(y, acc_[t]);
      } else {
        alignas(32) float all[tile_rows];
        _mm256_store_ps(all, acc_[t]);
        for (int r = 0; r < n_rows_; ++r) y[r] = all[r];
      }
    }
  }

 private:
  using Ops = BlockOps<F, Isa>;
  using Block = typename F::Block;
  using Activation = typename F::Activation;
  static constexpr bool has_msum = F::has_mins && std::is_same_v<Activation, Act256>;
  // Blocks per piece: at most 8 kB (superblocks) or 16 kB of sums for one token, 2 to 7 kB of a row.
  static constexpr int piece =
      F::block_size == 256 ? (n_tokens == 1 ? 32 : 32 / n_tokens) : (n_tokens == 1 ? 64 : 64 / n_tokens);
  static constexpr std::int64_t prefetch_bytes = 4096;

  COTERIE_INLINE void clear_unused() {
    for (int b = 0; b < piece; ++b)
      for (int r = n_rows_; r < tile_rows; ++r) {
        d_[b][r] = 0.0F;
        if constexpr (F::has_mins) m_[b][r] = 0.0F;
        for (int t = 0; t < n_tokens; ++t) {
          isum_[t][b][r] = _mm256_setzero_si256();
          if constexpr (has_msum) msum_[t][b][r] = _mm256_setzero_si256();
        }
      }
  }

  COTERIE_INLINE void integers(int r, std::int64_t first, int n) {
    const std::byte* row = w_ + r * row_bytes_ + first * static_cast<std::int64_t>(sizeof(Block));
    // Whole rows follow each other in memory; of a longer row the next piece to come is the next row's.
    const std::byte* ahead = row + (n_blocks_ <= piece ? prefetch_bytes : row_bytes_);
    const auto* blocks = reinterpret_cast<const Block*>(row);
    for (int b = 0; b < n; ++b) {
      for (std::size_t line = 0; line < sizeof(Block); line += 64)
        _mm_prefetch(reinterpret_cast<const char*>(ahead) + line, _MM_HINT_T0);
      ahead += sizeof(Block);
      typename Ops::Unpacked u;
      Ops::unpack(blocks[b], u);
      d_[b][r] = u.d;
      if constexpr (F::has_mins) m_[b][r] = u.m;
      for (int t = 0; t < n_tokens; ++t) {
        const Activation& x = x_[t][first + b];
        if constexpr (has_msum)
          Ops::sums(u, x, isum_[t][b][r], msum_[t][b][r]);
        else
          Ops::sums(u, x, isum_[t][b][r]);
      }
    }
  }

  COTERIE_INLINE void floats(std::int64_t first, int n) {
    __m256 acc[n_tokens];
    for (int t = 0; t < n_tokens; ++t) acc[t] = acc_[t];
    for (int b = 0; b < n; ++b)
      for (int t = 0; t < n_tokens; ++t) {
        const Activation& x = x_[t][first + b];
        const __m256 x_scale = _mm256_set1_ps(x.scale);
        const __m256 isum = _mm256_cvtepi32_ps(add_up(isum_[t][b]));
        acc[t] = _mm256_fmadd_ps(_mm256_mul_ps(_mm256_load_ps(d_[b]), x_scale), isum, acc[t]);
        if constexpr (!F::has_mins) continue;
        const __m256 m = _mm256_mul_ps(_mm256_load_ps(m_[b]), x_scale);
        if constexpr (has_msum)
          acc[t] = _mm256_fnmadd_ps(m, _mm256_cvtepi32_ps(add_up(msum_[t][b])), acc[t]);
        else if constexpr (F::has_mins)
          acc[t] = _mm256_fmadd_ps(m, _mm256_set1_ps(static_cast<float>(x.sum)), acc[t]);
      }
    for (int t = 0; t < n_tokens; ++t) acc_[t] = acc[t];
  }

  const std::byte* w_;
  std::int64_t row_bytes_;
  int n_rows_;
  std::int64_t n_blocks_;
  const Activation* x_[n_tokens];
  __m256 acc_[n_tokens];
  RowSums isum_[n_tokens][piece];
  RowSums msum_[has_msum ? n_tokens : 1][has_msum ? piece : 1];
  alignas(32) float d_[piece][tile_rows];
  alignas(32) float m_[F::has_mins ? piece : 1][tile_rows];
};

template <class F, class Isa>
requires TiledFormat<F, Isa>
struct Rows<F, Isa> {
  static void run(const RowsArgs& a) {
    for (int r = 0; r < a.n_rows; r += tile_rows) {
      int t = 0;
      for (; t + 4 <= a.n_tokens; t += 4) tile<4>(a, r, t);
      for (; t + 2 <= a.n_tokens; t += 2) tile<2>(a, r, t);
      for (; t < a.n_tokens; ++t) tile<1>(a, r, t);
    }
  }

 private:
  template <int n_tokens>
  COTERIE_INLINE static void tile(const RowsArgs& a, int row, int token) {
    Tile<F, Isa, n_tokens> tile(a, row, token);
    tile.run();
    tile.store(a.y + token * a.y_stride + row, a.y_stride);
  }
};

}  // namespace coterie
