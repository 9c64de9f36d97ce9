// Rows of blocks on x86 for several inputs (one is stream.h's): eight rows at a time, in two stages.
//
//   integers   four rows side by side, block after block: unpack once, meet every token;
//              a transposing tree adds the exact sums of the four blocks up
//
//   floats     for each block acc = fma(d * x.scale, isum, acc) for the eight rows at once, lane = row,
//              blocks ascending
//
// Four streams are few enough for the memory and enough to share the tree. The sums between the stages stay
// in the first-level cache: long rows are cut into pieces, which changes no bit, since the float chain goes
// on where it was.
//
// Prefetches go to the second level: into the first, they compete with the loads for its few miss buffers
// (Zen 4, one thread, Q4_K from memory: 14 GB/s against 21; none at all: 12).
#pragma once

#include "kernels/x86/panel.h"
#include "kernels/x86/wide_avx2.h"

#include <type_traits>

namespace coterie {

constexpr int tile_rows = 8;
constexpr int stream_rows = 4;

// How blocks of F are multiplied on Isa:
//   Unpacked                 one block, ready to meet activations; d, m: its scales, as float or half's bits
//   unpack(block, u)
//   sums(u, x, isum, msum)   the exact sums of one block and one activation block, each spread over eight
//                            doublewords; msum only for superblocks with minima
//   sum_offset               what isum holds too much, in units of the sum of x (Act32)
template <class F, class Isa>
struct BlockOps;

template <class F, class Isa>
concept TiledFormat = requires {
  typename BlockOps<F, Isa>::Unpacked;
};

COTERIE_INLINE __m256 load_scales(const float* p) { return _mm256_load_ps(p); }
COTERIE_INLINE __m256 load_scales(const std::uint16_t* p) {
  return _mm256_cvtph_ps(_mm_load_si128(reinterpret_cast<const __m128i*>(p)));
}

// Lane r: the sum of the eight doublewords of v[r].
COTERIE_INLINE __m128i add_up(const __m256i (&v)[stream_rows]) {
  const __m256i a = _mm256_add_epi32(_mm256_unpacklo_epi32(v[0], v[1]), _mm256_unpackhi_epi32(v[0], v[1]));
  const __m256i b = _mm256_add_epi32(_mm256_unpacklo_epi32(v[2], v[3]), _mm256_unpackhi_epi32(v[2], v[3]));
  const __m256i s = _mm256_add_epi32(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
  return _mm_add_epi32(_mm256_castsi256_si128(s), _mm256_extracti128_si256(s, 1));
}

template <class F, class Isa>
class Stream;  // stream.h
template <class F, class Isa>
struct StreamOps;

// Formats that a stream multiplies otherwise than BlockOps: two or three tokens gain less from unpacking once.
template <class F, class Isa>
concept StreamedFormat = !std::is_base_of_v<BlockOps<F, Isa>, StreamOps<F, Isa>>;

template <class F, class Isa, int n_tokens>
class Tile {
 public:
  COTERIE_INLINE Tile(const RowsArgs& a, int row, int token)
      : w_(a.w + row * a.row_bytes),
        row_bytes_(a.row_bytes),
        n_rows_(a.n_rows - row < tile_rows ? a.n_rows - row : tile_rows),
        n_blocks_(a.n / F::block_size) {
    for (int t = 0; t < n_tokens; ++t) {
      x_[t] = reinterpret_cast<const Activation*>(a.input(token + t));
      acc_[t] = _mm256_setzero_ps();
    }
    if (n_rows_ <= stream_rows) __builtin_memset(&sums_, 0, sizeof sums_);  // the upper half is never written
  }

  COTERIE_INLINE void run() {
    for (std::int64_t first = 0; first < n_blocks_; first += piece) {
      const int n = static_cast<int>(n_blocks_ - first < piece ? n_blocks_ - first : piece);
      for (int r = 0; r < n_rows_; r += stream_rows) integers(r, first, n);
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
  using Unpacked = typename Ops::Unpacked;
  using Scale = decltype(Unpacked::d);
  static constexpr bool has_msum = F::has_mins && std::is_same_v<Activation, Act256>;
  static constexpr std::int64_t block_bytes = sizeof(Block);
  static constexpr int piece = (F::block_size == 256 ? 64 : 256) / n_tokens;
  static constexpr std::int64_t blocks_ahead = 3072 / block_bytes;

  struct Sums {
    alignas(32) std::int32_t isum[n_tokens][piece][tile_rows];
    alignas(32) std::int32_t msum[has_msum ? n_tokens : 1][has_msum ? piece : 1][tile_rows];
    alignas(32) Scale d[piece][tile_rows];
    alignas(32) Scale m[F::has_mins ? piece : 1][tile_rows];
  };

  COTERIE_INLINE void integers(int from, std::int64_t first, int n) {
    const std::byte* row[stream_rows];
    for (int r = 0; r < stream_rows; ++r)  // a missing row repeats the last
      row[r] = w_ + (from + r < n_rows_ ? from + r : n_rows_ - 1) * row_bytes_ + first * block_bytes;
    for (int b = 0; b < n; ++b) {
      // What will be read a little later: further on in these rows, then at the start of the next four.
      const std::int64_t later = first + b + blocks_ahead;
      const std::int64_t ahead =
          later < n_blocks_ ? (b + blocks_ahead) * block_bytes
                            : stream_rows * row_bytes_ + (b + blocks_ahead - n_blocks_) * block_bytes;
      __m256i isum[n_tokens][stream_rows];
      __m256i msum[n_tokens][stream_rows];
      for (int r = 0; r < stream_rows; ++r) {
        for (std::int64_t line = 0; line < block_bytes; line += 64)
          _mm_prefetch(reinterpret_cast<const char*>(row[r] + ahead + line), _MM_HINT_T1);
        Unpacked u;
        Ops::unpack(*reinterpret_cast<const Block*>(row[r] + b * block_bytes), u);
        sums_.d[b][from + r] = u.d;
        if constexpr (F::has_mins) sums_.m[b][from + r] = u.m;
        for (int t = 0; t < n_tokens; ++t)
          if constexpr (has_msum)
            Ops::sums(u, x_[t][first + b], isum[t][r], msum[t][r]);
          else
            Ops::sums(u, x_[t][first + b], isum[t][r]);
      }
      for (int t = 0; t < n_tokens; ++t) {
        _mm_store_si128(reinterpret_cast<__m128i*>(&sums_.isum[t][b][from]), add_up(isum[t]));
        if constexpr (has_msum)
          _mm_store_si128(reinterpret_cast<__m128i*>(&sums_.msum[t][b][from]), add_up(msum[t]));
      }
    }
  }

  COTERIE_INLINE static __m256i load(const std::int32_t* p) {
    return _mm256_load_si256(reinterpret_cast<const __m256i*>(p));
  }

  COTERIE_INLINE void floats(std::int64_t first, int n) {
    __m256 acc[n_tokens];
    for (int t = 0; t < n_tokens; ++t) acc[t] = acc_[t];
    for (int b = 0; b < n; ++b)
      for (int t = 0; t < n_tokens; ++t) {
        const Activation& x = x_[t][first + b];
        const __m256 x_scale = _mm256_set1_ps(x.scale);
        __m256i isum = load(sums_.isum[t][b]);
        if constexpr (Ops::sum_offset != 0)
          isum = _mm256_sub_epi32(isum, _mm256_set1_epi32(Ops::sum_offset * x.sum));
        acc[t] = _mm256_fmadd_ps(_mm256_mul_ps(load_scales(sums_.d[b]), x_scale), _mm256_cvtepi32_ps(isum),
                                 acc[t]);
        if constexpr (F::has_mins) {
          const __m256 m = _mm256_mul_ps(load_scales(sums_.m[b]), x_scale);
          if constexpr (has_msum)
            acc[t] = _mm256_fnmadd_ps(m, _mm256_cvtepi32_ps(load(sums_.msum[t][b])), acc[t]);
          else
            acc[t] = _mm256_fmadd_ps(m, _mm256_set1_ps(static_cast<float>(x.sum)), acc[t]);
        }
      }
    for (int t = 0; t < n_tokens; ++t) acc_[t] = acc[t];
  }

  const std::byte* w_;
  std::int64_t row_bytes_;
  int n_rows_;
  std::int64_t n_blocks_;
  const Activation* x_[n_tokens];
  __m256 acc_[n_tokens];
  Sums sums_;
};

template <class F, class Isa>
requires TiledFormat<F, Isa>
struct Rows<F, Isa> {
  static void run(const RowsArgs& a) {
    if (a.n_tokens == 1) return Stream<F, Isa>::run(a);
    if constexpr (PaneledFormat<F, Isa>)
      if (a.n_tokens >= panel_worth) return PanelRows<F, PanelOps<F, Isa>>::run(a);
    if constexpr (StreamedFormat<F, Isa>)
      one_by_one(a);
    else
      tiles(a);
  }

 private:
  static void tiles(const RowsArgs& a) {
    for (int r = 0; r < a.n_rows; r += tile_rows) {
      int t = 0;
      for (; t + 4 <= a.n_tokens; t += 4) tile<4>(a, r, t);
      for (; t + 2 <= a.n_tokens; t += 2) tile<2>(a, r, t);
      for (; t < a.n_tokens; ++t) tile<1>(a, r, t);
    }
  }

  static void one_by_one(const RowsArgs& a) {
    RowsArgs one = a;
    one.n_tokens = 1;
    one.token_of = nullptr;
    for (int t = 0; t < a.n_tokens; ++t) {
      one.x = a.input(t);
      one.y = a.y + t * a.y_stride;
      Stream<F, Isa>::run(one);
    }
  }

  template <int n_tokens>
  COTERIE_INLINE static void tile(const RowsArgs& a, int row, int token) {
    Tile<F, Isa, n_tokens> tile(a, row, token);
    tile.run();
    tile.store(a.y + token * a.y_stride + row, a.y_stride);
  }
};

}  // namespace coterie
