// Rows of blocks on x86 for one input: what decoding does, bound by the memory.
//
// Rows are read one after another, as one stream; where a weight is a byte or more, so that the products leave time,
// long rows eight side by side. Eight rows make a tile:
//
//   integers   a row's exact sums, four or eight blocks at a time, by one transposing tree; the scales aside
//   floats     the sums of eight rows transposed: acc = fma(d * x.scale, isum, acc), lane = row, blocks
//              ascending
//
// The input is laid out anew first, its bytes, scales and sums apart: in blocks of 292 or 40 bytes, every
// load of 64 bytes would cross a cache line. Long rows are cut into pieces so that all this stays in the
// first-level cache; that changes no bit, since the float chain goes on where it was.
//
// Every line is prefetched, into the second level: into the first, prefetches compete with the loads for its
// few miss buffers. Two threads of Zen 4, Q8_0: 6 KB ahead 93 % of the memory's bandwidth, 2 KB 72 %, every other
// line 75 %, one line per group of blocks 81 %, none 83 %; four rows side by side 90 %.
//
// A page is begun early, by its first eight lines: the processor's own prefetchers end with a page, and its
// address has to be looked up. Two threads of Sapphire Rapids, from memory, times as fast: Q6_K, Q4_K, Q2_K
// 1.15 to 1.25, with four lines 1.1 to 1.2, with sixteen 0.9 to 1.15. Eight rows side by side: Q8_0 1.2, its
// rows of 2,048 0.9, K-quants and Q4_0 0.8 to 1. Prefetches that go on with the next row's piece, not with
// columns that another piece has: rows of 16,384 and more 1.2.
#pragma once

#include "kernels/rows.h"
#include "kernels/x86/small_blocks.h"
#include "kernels/x86/superblocks.h"

namespace coterie {

constexpr int piece_values = 8192;

template <class Activation>
struct StreamInput;

template <>
struct StreamInput<Act256> {
  static constexpr int blocks = piece_values / 256;
  static constexpr int group = 4;  // blocks whose sums are added up together
  alignas(64) std::int8_t q[blocks * 256];
  alignas(64) std::int16_t sums[blocks * 16];
  float scale[blocks];

  COTERIE_INLINE void set(int b, const Act256& x) {
    __builtin_memcpy(q + 256 * b, x.q, sizeof x.q);
    __builtin_memcpy(sums + 16 * b, x.group_sums, sizeof x.group_sums);
    scale[b] = x.scale;
  }
};

template <>
struct StreamInput<Act32> {
  static constexpr int blocks = piece_values / 32;
  static constexpr int group = 8;
  alignas(64) std::int8_t q[blocks * 32];
  std::int32_t sum[blocks];
  float scale[blocks];

  COTERIE_INLINE void set(int b, const Act32& x) {
    __builtin_memcpy(q + 32 * b, x.q, sizeof x.q);
    sum[b] = x.sum;
    scale[b] = x.scale;
  }
};

// What a stream multiplies with, beside what BlockOps has:
//   Input                where set(b, x) puts block b of the input
//   products(u, x, b)    doublewords that add up to isum, from block b of the input
// A format may have its own, for one input alone (lanes.h).
template <class F, class Isa>
struct StreamOps : BlockOps<F, Isa> {
  using Base = BlockOps<F, Isa>;
  using Input = StreamInput<typename F::Activation>;
  COTERIE_INLINE static auto products(const typename Base::Unpacked& u, const Input& x, int b) {
    if constexpr (std::is_same_v<typename F::Activation, Act256>)
      return Base::products(u, x.q + 256 * b, x.sums + 16 * b);
    else
      return Base::products(u, x.q + 32 * b);
  }
};

template <class F, class Isa>
class Stream {
 public:
  static void run(const RowsArgs& a) {
    Stream s(a);
    for (int row = 0; row < a.n_rows; row += max_rows) s.some_rows(row);
  }

 private:
  using Ops = StreamOps<F, Isa>;
  using W = Wide<Isa>;
  using Block = typename F::Block;
  using Activation = typename F::Activation;
  using Input = typename Ops::Input;
  using Unpacked = typename Ops::Unpacked;
  using Scale = decltype(Unpacked::d);
  static constexpr bool has_msum = F::has_mins && std::is_same_v<Activation, Act256>;
  static constexpr std::int64_t block_bytes = sizeof(Block);
  static constexpr int group = Input::group;
  static constexpr int columns = Input::blocks;
  static constexpr int max_rows = 256;
  static constexpr std::int64_t beside_bytes = 4096;  // of a row
  static constexpr int page_bytes = 4096;

  // What a tile's integers leave to its floats.
  struct Sums {
    alignas(32) std::int32_t isum[tile_rows][columns];
    alignas(32) std::int32_t msum[has_msum ? tile_rows : 1][has_msum ? columns : 1];
    alignas(32) Scale d[columns][tile_rows];
    alignas(32) Scale m[F::has_mins ? columns : 1][tile_rows];
  };

  COTERIE_INLINE explicit Stream(const RowsArgs& a) : a_(a) {}

  COTERIE_INLINE void some_rows(int row) {
    const int n_rows = a_.n_rows - row < max_rows ? a_.n_rows - row : max_rows;
    const std::byte* w = a_.w + row * a_.row_bytes;
    const std::int64_t n_blocks = a_.n / F::block_size;
    alignas(32) float acc[max_rows] = {};
    for (std::int64_t first = 0; first < n_blocks; first += columns) {
      n_ = static_cast<int>(n_blocks - first < columns ? n_blocks - first : columns);
      for (int b = 0; b < n_; ++b) x_.set(b, reinterpret_cast<const Activation*>(a_.input(0))[first + b]);
      tiles(w + first * block_bytes, n_rows, acc);
    }
    for (int r = 0; r < n_rows; ++r) a_.y[row + r] = acc[r];
  }

  COTERIE_INLINE void tiles(const std::byte* w, int n_rows, float* acc) {
    if constexpr (sizeof(Block) > F::block_size)
      if (n_ * block_bytes >= beside_bytes) return tiles_of<tile_rows>(w, n_rows, acc);
    tiles_of<1>(w, n_rows, acc);
  }

  // The floats of a tile are computed between the blocks of the next, a part each time: all at once, they
  // would leave the memory idle. `beside` rows are read side by side.
  template <int beside>
  COTERIE_INLINE void tiles_of(const std::byte* w, int n_rows, float* acc) {
    constexpr std::int64_t ahead = beside == 1 ? 6144 : 24576;
    ahead_ = {w, 0};
    for (std::int64_t bytes = 0; bytes < ahead; bytes += beside * group * block_bytes) read_ahead<beside>();
    const int n_tiles = (n_rows + tile_rows - 1) / tile_rows;
    const int parts = beside == 1 ? tile_rows : (n_ + group - 1) / group;
    for (int tile = 0; tile <= n_tiles; ++tile) {
      const int first = tile * tile_rows;
      const int n = n_rows - first < tile_rows ? n_rows - first : tile_rows;
      __m256 sum = tile > 0 ? _mm256_load_ps(acc + first - tile_rows) : _mm256_setzero_ps();
      for (int part = 0; part < parts; ++part) {
        if constexpr (beside == 1) {
          if (part < n) integers(part, w + (first + part) * a_.row_bytes, sums_[tile % 2]);
        } else {
          if (n > 0) read_ahead<beside>();
          integers_beside(n, part * group, w + first * a_.row_bytes, sums_[tile % 2]);
        }
        if (tile > 0) floats(part, parts, sums_[1 - tile % 2], sum);
      }
      if (tile > 0) _mm256_store_ps(acc + first - tile_rows, sum);
    }
  }

  // Prefetches the next group of blocks of `beside` rows; after the last of these, those of the next rows. A
  // stream of its own also begins the page after next with each page, which the processor would do when it gets
  // there.
  template <int beside>
  COTERIE_INLINE void read_ahead() {
    for (int r = 0; r < beside; ++r)
      for (std::int64_t line = 0; line < group * block_bytes; line += 64)
        _mm_prefetch(reinterpret_cast<const char*>(ahead_.w) + r * a_.row_bytes + line, _MM_HINT_T1);
    if constexpr (beside == 1) {
      const std::uintptr_t in_page = reinterpret_cast<std::uintptr_t>(ahead_.w) % page_bytes;
      if (in_page < static_cast<std::uintptr_t>(group * block_bytes))
        for (int line = 0; line < 512; line += 64)
          _mm_prefetch(reinterpret_cast<const char*>(ahead_.w) - in_page + 2 * page_bytes + line,
                       _MM_HINT_T1);
    }
    ahead_.w += group * block_bytes;
    ahead_.block += group;
    if (ahead_.block >= n_) {
      ahead_.w += beside * a_.row_bytes - ahead_.block * block_bytes;
      ahead_.block = 0;
    }
  }

  COTERIE_INLINE void integers(int r, const std::byte* w, Sums& sums) {
    int b = 0;
    for (; b + group <= n_; b += group, w += group * block_bytes) {
      read_ahead<1>();
      blocks(r, b, w, group, sums);
    }
    if (b < n_) {
      read_ahead<1>();
      blocks(r, b, w, n_ - b, sums);
    }
  }

  // Of n rows, blocks from b on.
  COTERIE_INLINE void integers_beside(int n, int b, const std::byte* w, Sums& sums) {
    w += b * block_bytes;
    if (b + group <= n_)
      for (int r = 0; r < n; ++r, w += a_.row_bytes) blocks(r, b, w, group, sums);
    else
      for (int r = 0; r < n; ++r, w += a_.row_bytes) blocks(r, b, w, n_ - b, sums);
  }

  // The last blocks of a row are fewer than a group: the last one stands in for those that are missing.
  COTERIE_INLINE void blocks(int r, int b, const std::byte* w, int n, Sums& sums) {
    typename Ops::Products isum[group];
    __m256i msum[group];
    for (int i = 0; i < group; ++i) {
      Unpacked u;
      Ops::unpack(*reinterpret_cast<const Block*>(w + (i < n ? i : n - 1) * block_bytes), u);
      sums.d[b + i][r] = u.d;
      if constexpr (F::has_mins) sums.m[b + i][r] = u.m;
      isum[i] = Ops::products(u, x_, b + i);
      if constexpr (has_msum) msum[i] = Ops::group_products(u, x_.sums + 16 * (b + i));
    }
    store(sums.isum[r] + b, W::add_up(isum));
    if constexpr (has_msum) store(sums.msum[r] + b, W::add_up(msum));
  }

  COTERIE_INLINE static void store(std::int32_t* p, __m128i v) {
    _mm_store_si128(reinterpret_cast<__m128i*>(p), v);
  }
  COTERIE_INLINE static void store(std::int32_t* p, __m256i v) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(p), v);
  }

  COTERIE_INLINE void floats(int part, int parts, const Sums& sums, __m256& acc) const {
    const int squares = (n_ + 7) / 8;
    for (int b = squares * part / parts * 8; b < squares * (part + 1) / parts * 8; b += 8) {
      __m256i isum[8];
      __m256i msum[8];
      transposed(sums.isum, b, isum);
      if constexpr (has_msum) transposed(sums.msum, b, msum);
      const int end = n_ - b < 8 ? n_ - b : 8;
      if (end == 8)
        for (int i = 0; i < 8; ++i) add(sums, b + i, isum[i], has_msum ? msum[i] : isum[i], acc);
      else
        for (int i = 0; i < end; ++i) add(sums, b + i, isum[i], has_msum ? msum[i] : isum[i], acc);
    }
  }

  COTERIE_INLINE void add(const Sums& sums, int b, __m256i isum, __m256i msum, __m256& acc) const {
    const __m256 x_scale = _mm256_set1_ps(x_.scale[b]);
    if constexpr (Ops::sum_offset != 0)
      isum = _mm256_sub_epi32(isum, _mm256_set1_epi32(Ops::sum_offset * x_.sum[b]));
    acc = _mm256_fmadd_ps(_mm256_mul_ps(load_scales(sums.d[b]), x_scale), _mm256_cvtepi32_ps(isum), acc);
    if constexpr (F::has_mins) {
      const __m256 m = _mm256_mul_ps(load_scales(sums.m[b]), x_scale);
      if constexpr (has_msum)
        acc = _mm256_fnmadd_ps(m, _mm256_cvtepi32_ps(msum), acc);
      else
        acc = _mm256_fmadd_ps(m, _mm256_set1_ps(static_cast<float>(x_.sum[b])), acc);
    }
  }

  // Eight columns of eight rows.
  COTERIE_INLINE static void transposed(const std::int32_t (&from)[tile_rows][columns], int b,
                                        __m256i (&out)[8]) {
    __m256i row[8];
    for (int r = 0; r < 8; ++r) row[r] = _mm256_load_si256(reinterpret_cast<const __m256i*>(from[r] + b));
    __m256i pair[8];
    for (int r = 0; r < 8; r += 2) {
      pair[r] = _mm256_unpacklo_epi32(row[r], row[r + 1]);
      pair[r + 1] = _mm256_unpackhi_epi32(row[r], row[r + 1]);
    }
    __m256i four[8];
    for (int r = 0; r < 8; r += 4)
      for (int k = 0; k < 2; ++k) {
        four[r + 2 * k] = _mm256_unpacklo_epi64(pair[r + k], pair[r + 2 + k]);
        four[r + 2 * k + 1] = _mm256_unpackhi_epi64(pair[r + k], pair[r + 2 + k]);
      }
    for (int k = 0; k < 4; ++k) {
      out[k] = _mm256_permute2x128_si256(four[k], four[k + 4], 0x20);
      out[k + 4] = _mm256_permute2x128_si256(four[k], four[k + 4], 0x31);
    }
  }

  const RowsArgs& a_;
  int n_ = 0;
  struct {
    const std::byte* w;
    std::int64_t block;  // of its rows
  } ahead_ = {};
  Input x_;
  Sums sums_[2];
};

}  // namespace coterie
