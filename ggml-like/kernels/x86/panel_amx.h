// Products with many tokens on the tiles of AMX, over the panels of panel_bytes.h: a panel's codes, four columns of
// sixteen rows to 64 bytes, are a right operand as they lie; the left one is up to sixteen tokens' activations.
//
//   superblocks   The tiles know no scales of 16 or 32 columns. After the panel is filled, each code is multiplied by
//                 its group's scale, a word, and the word's bytes go to two panels: isum = 256 * high + low. Two
//                 products of 64 columns, and nothing between them.
//   32-blocks     A product of 32 columns for each block, whose scale is a float.
//
// Why two bytes: a product of tiles takes as many cycles as it has tokens, sixteen, whether it has 16, 32 or 64 columns
// (the lower ones leave multipliers idle). For 256 columns, 16 rows, 16 tokens:
//
//   two bytes                 8 products, 128 cycles; the scales cost the panel about 250 once, for all its tokens
//   groups of 32, one by one  8 products, and for each 16 multiplications of doublewords at 2 cycles: 256 and more
//   groups of 16, one by one  16 products, as many multiplications: 512 and more
//
// so that even sixteen tokens pay for it. Q2_K's codes contain their scales from the start and are one byte: 4
// products. A product's result comes 52 cycles later: four accumulators take turns.
#pragma once

#include "formats/list.h"
#include "kernels/isa.h"
#include "kernels/x86/amx.h"
#include "kernels/x86/panel_formats.h"
#include "kernels/x86/tile.h"

namespace coterie {

// The tiles of Isa.
template <class Isa>
struct TilesOf;

template <class Isa>
concept TileIsa = requires {
  typename TilesOf<Isa>::Type;
};

template <TileIsa Isa>
struct Wide<Isa> : Wide<Avx512Vnni> {};

// Below this, multiplying the scales in and the filling up of tiles cost more than they give: about 250 cycles once and
// 14 a token against 48 a token (Q4_K).
constexpr int tiles_worth = 8;

struct TilePanel : BytePanel {
  alignas(64) std::int8_t high[64][64];  // of a product of code and scale; codes has the low bytes
};

// Results of up to sixteen tokens (rows) and sixteen rows of weights (columns).
using TileSums = std::int32_t[16][16];

// What superblocks and 32-blocks share. Tiles 0..3 are accumulators, 4 has the tokens, 5 and 6 weights.
template <class F, class Isa, int columns>
struct TileOpsBase : PanelOps<F, Isa> {
  using Bytes = PanelOps<F, Isa>;
  using Tiles = typename TilesOf<Isa>::Type;
  static constexpr int tile = 16;

  COTERIE_INLINE static void begin(int n_tokens) {
    TileShapes shapes;
    each<4>([&](auto i) __attribute__((always_inline)) { shapes.set(i, n_tokens, 64); });
    shapes.set(4, n_tokens, columns);
    shapes.set(5, columns / 4, 64);
    shapes.set(6, columns / 4, 64);
    Tiles::configure(shapes);
  }
  COTERIE_INLINE static void end() { Tiles::release(); }

 protected:
  COTERIE_INLINE static void load_tokens(const ByteInput* in, int column) {
    Tiles::template load<4>(in->q + column, sizeof(ByteInput));
  }
};

template <class F, class Isa>
struct TileOps : TileOpsBase<F, Isa, 64> {
  using Base = TileOpsBase<F, Isa, 64>;
  using Tiles = typename Base::Tiles;
  using Bytes = typename Base::Bytes;
  using Panel = TilePanel;
  static constexpr bool scaled = Bytes::group == 256;  // by the panel's filling
  static_assert(!scaled || Bytes::offset == 0);

  COTERIE_INLINE static void fill(PanelRow row, int n_columns, TilePanel& p) {
    Bytes::fill(row, n_columns, p);
    if constexpr (!scaled) scale_codes(p);
  }

  static void multiply(const TilePanel& p, const ByteInput* in, int n_tokens, int, float (*y)[panel_lanes]) {
    alignas(64) TileSums sums[4];
    each<4>([&](auto i) __attribute__((always_inline)) { Tiles::template zero<i>(); });
    each<4>([&](auto k) __attribute__((always_inline)) {
      Base::load_tokens(in, 64 * k);
      Tiles::template load<5>(p.codes[16 * k], 64);
      Tiles::template add_unsigned<(scaled ? k : k % 2), 4, 5>();
      if constexpr (!scaled) {
        Tiles::template load<6>(p.high[16 * k], 64);
        Tiles::template add_signed<2 + k % 2, 4, 6>();
      }
    });
    each<4>([&](auto i) __attribute__((always_inline)) { Tiles::template store<i>(sums[i], 64); });
    for (int t = 0; t < n_tokens; t += 8)
      with_constant<8>(
          std::min(8, n_tokens - t), [&](auto n) __attribute__((always_inline)) {
            __m512i isum[n];
            each<n>([&](auto i) __attribute__((always_inline)) { isum[i] = sum_of(sums, t + i); });
            Bytes::template finish<n>(p, in + t, isum, y + t);
          });
  }

 private:
  COTERIE_INLINE static __m512i sum_of(const TileSums (&sums)[4], int token) {
    const auto pair = [&](int i) __attribute__((always_inline)) {
      return _mm512_add_epi32(_mm512_load_si512(sums[i][token]), _mm512_load_si512(sums[i + 1][token]));
    };
    return _mm512_add_epi32(pair(0), scaled ? pair(2) : _mm512_slli_epi32(pair(2), 8));
  }

  // A word is the product of a code with the scale and of its neighbour with zero, less offset * scale.
  __attribute__((noinline)) static void scale_codes(TilePanel& p) {
    const __m512i even = _mm512_set1_epi16(255);
    for (int g = 0; g < Bytes::n_groups; ++g) {
      const __m512i scale = _mm512_load_si512(p.scales[g]);
      const __m512i words = _mm512_mask_blend_epi16(0xaaaaaaaa, scale, _mm512_slli_epi32(scale, 16));
      const __m512i excess = _mm512_mullo_epi16(words, _mm512_set1_epi16(Bytes::offset));
      const __m512i scales[2] = {_mm512_and_si512(words, even), _mm512_slli_epi16(words, 8)};
      each<Bytes::group / 4>([&](auto k) __attribute__((always_inline)) {
        auto& codes = p.codes[g * (Bytes::group / 4) + k];
        const auto product = [&](int parity) __attribute__((always_inline)) {
          return _mm512_sub_epi16(_mm512_maddubs_epi16(_mm512_load_si512(codes), scales[parity]), excess);
        };
        const __m512i a = product(0);
        const __m512i b = product(1);
        _mm512_store_si512(p.high[g * (Bytes::group / 4) + k], choose(even, _mm512_srli_epi16(a, 8), b));
        _mm512_store_si512(codes, choose(even, a, _mm512_slli_epi16(b, 8)));
      });
    }
  }
  COTERIE_INLINE static __m512i choose(__m512i mask, __m512i a, __m512i b) {
    return _mm512_ternarylogic_epi32(mask, a, b, 0xca);
  }
};

template <class F, class Isa>
requires std::is_same_v<typename F::Activation, Act32>
struct TileOps<F, Isa> : TileOpsBase<F, Isa, 32> {
  using Base = TileOpsBase<F, Isa, 32>;
  using Tiles = typename Base::Tiles;
  using Bytes = typename Base::Bytes;

  COTERIE_INLINE static void fill(PanelRow row, int n_columns, BytePanel& p) {
    Bytes::fill(row, n_columns, p);
    if constexpr (Bytes::offset != 0)
      for (auto& codes : p.codes)
        _mm512_store_si512(codes, _mm512_sub_epi8(_mm512_load_si512(codes),
                                                  _mm512_set1_epi8(static_cast<char>(Bytes::offset))));
  }

  static void multiply(const BytePanel& p, const ByteInput* in, int n_tokens, int n_columns,
                       float (*y)[panel_lanes]) {
    alignas(64) TileSums sums[8];
    each<8>([&](auto b) __attribute__((always_inline)) {
      if (32 * b >= n_columns) return;
      Base::load_tokens(in, 32 * b);
      Tiles::template load<5 + b % 2>(p.codes[8 * b], 64);
      Tiles::template zero<b % 4>();
      Tiles::template add_signed<b % 4, 4, 5 + b % 2>();
      Tiles::template store<b % 4>(sums[b], 64);
    });
    for (int t = 0; t < n_tokens; ++t) {
      __m512 acc = _mm512_load_ps(y[t]);
      for (int b = 0; b < n_columns / 32; ++b)
        acc = Bytes::add_block(p, b, in[t], _mm512_load_si512(sums[b][t]), acc);
      _mm512_store_ps(y[t], acc);
    }
  }
};

template <class F, class Isa>
requires TiledFormat<F, Isa> && TileIsa<Isa>
struct Rows<F, Isa> {
  static void run(const RowsArgs& a) {
    if constexpr (PaneledFormat<F, Isa>)
      if (a.n_tokens >= tiles_worth) return PanelRows<F, TileOps<F, Isa>>::run(a);
    kernels_avx512vbmi.rows[index_of<F>](a);
  }
};

}  // namespace coterie
