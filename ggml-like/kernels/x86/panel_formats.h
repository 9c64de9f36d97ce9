// How each format's blocks become panels of bytes (panel_bytes.h).
//
// The formats met most are turned first and unpacked afterwards: the packed bytes of sixteen rows are a half
// or a quarter of the codes. The others are unpacked row by row, as for the one-token kernels, and turned as
// bytes.
#pragma once

#include "kernels/x86/iq_quants.h"
#include "kernels/x86/panel_bytes.h"

namespace coterie {

using PanelRow = const std::byte* const (&)[16];

COTERIE_INLINE __m512i low_bits(__m512i v, int shift, int mask) {
  return _mm512_and_si512(_mm512_srli_epi16(v, static_cast<unsigned>(shift)),
                          _mm512_set1_epi8(static_cast<char>(mask)));
}

COTERIE_INLINE __m512 low_halves(__m512i v) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(v)); }
COTERIE_INLINE __m512 high_halves(__m512i v) { return low_halves(_mm512_srli_epi32(v, 16)); }

// Byte i of each lane, as an integer.
template <int i>
COTERIE_INLINE __m512i unsigned_byte(__m512i v) {
  return _mm512_and_si512(_mm512_srli_epi32(v, 8 * i), _mm512_set1_epi32(255));
}
template <int i>
COTERIE_INLINE __m512i signed_byte(__m512i v) {
  return _mm512_srai_epi32(_mm512_slli_epi32(v, 24 - 8 * i), 24);
}
// Bytes 2 i and 2 i + 1 of each lane, as words.
template <int i>
COTERIE_INLINE __m512i unsigned_words(__m512i v) {
  return _mm512_shuffle_epi8(
      v, _mm512_broadcast_i32x4(_mm_setr_epi8(2 * i, -1, 2 * i + 1, -1, 2 * i + 4, -1, 2 * i + 5, -1,
                                              2 * i + 8, -1, 2 * i + 9, -1, 2 * i + 12, -1, 2 * i + 13, -1)));
}

// Rows of 256 bytes to a panel.
COTERIE_INLINE void turn_codes(PanelRow row, BytePanel& p) {
  for (int i = 0; i < 16; ++i) {
    __m512i v[4];
    turn(row, 16 * i, v);
    each<4>([&](auto k) __attribute__((always_inline)) { _mm512_store_si512(p.codes[4 * i + k], v[k]); });
  }
}

template <class F>
constexpr int panel_offset_of() {
  using Row = Unpack256<F, Avx512Vnni>;
  if constexpr (Row::codes == Codes::plain)
    return 0;
  else if constexpr (Row::codes == Codes::offset)
    return Row::offset;
  else
    return 128;
}
template <class F>
constexpr int panel_offset = panel_offset_of<F>();

template <class F, VnniIsa Isa>
requires std::is_same_v<typename F::Integers, Integers256>
struct PanelOps<F, Isa> : SuperblockPanel<Isa, 16, panel_offset<F>, F::has_mins> {
  using Row = Unpack256<F, Avx512Vnni>;
  __attribute__((noinline)) static void fill(PanelRow row, int, BytePanel& p) {
    alignas(64) std::byte codes[16][256];
    const std::byte* turned[16];
    for (int r = 0; r < 16; ++r) {
      unpack(*reinterpret_cast<const typename F::Block*>(row[r]), r, codes[r], p);
      turned[r] = codes[r];
    }
    turn_codes(turned, p);
  }

 private:
  COTERIE_INLINE static void unpack(const typename F::Block& b, int r, std::byte* codes, BytePanel& p) {
    typename Row::Unpacked u;
    Row::run(b, u);
    each<4>([&](auto c) __attribute__((always_inline)) {
      __m512i q = u.q[c];
      if constexpr (Row::codes == Codes::levels) q = Wide<Avx512Vnni>::negate(q, u.signs[c]);
      if constexpr (panel_offset<F> == 128) q = _mm512_xor_si512(q, _mm512_set1_epi8(-128));
      _mm512_store_si512(codes + 64 * c, q);
    });
    alignas(64) std::int16_t scales[4][32];
    if constexpr (Row::codes == Codes::signed_)
      each<4>([&](auto c)
                  __attribute__((always_inline)) { _mm512_store_si512(scales[c], u.pair_scales[c]); });
    else
      each<2>([&](auto c) __attribute__((always_inline)) { _mm512_store_si512(scales[c], u.scales[c]); });
    for (int g = 0; g < 16; ++g) {
      const int at = Row::codes == Codes::signed_ ? 8 * g : Wide<Avx512Vnni>::scale_at(g);
      p.scales[g][r] = scales[at / 32][at % 32];
    }
    if constexpr (F::has_mins) {
      alignas(32) std::int16_t mins[16];
      _mm256_store_si256(reinterpret_cast<__m256i*>(mins), u.group_words);
      for (int g = 0; g < 16; ++g) p.mins[g / 2][2 * r + g % 2] = mins[g];
      p.m[0][r] = as_float(u.m);
    }
    p.d[0][r] = as_float(u.d);
  }
  COTERIE_INLINE static float as_float(float f) { return f; }
  COTERIE_INLINE static float as_float(std::uint16_t half) { return _cvtsh_ss(half); }
};

// The sixteen bytes at the front of a Q4_K or Q5_K block.
COTERIE_INLINE void fill_k_scales(PanelRow row, BytePanel& p) {
  __m512i head[4];
  turn(row, 0, head);
  _mm512_store_ps(p.d[0], low_halves(head[0]));
  _mm512_store_ps(p.m[0], high_halves(head[0]));
  const auto six = [](__m512i v) { return _mm512_and_si512(v, _mm512_set1_epi32(0x3f3f3f3f)); };
  const auto upper = [](__m512i v) {
    return _mm512_and_si512(_mm512_srli_epi32(v, 2), _mm512_set1_epi32(0x30303030));
  };
  const __m512i scales[2] = {six(head[1]), _mm512_or_si512(low_bits(head[3], 0, 15), upper(head[1]))};
  const __m512i mins[2] = {six(head[2]), _mm512_or_si512(low_bits(head[3], 4, 15), upper(head[2]))};
  each<2>([&](auto h) __attribute__((always_inline)) {
    each<4>([&](auto i) __attribute__((always_inline)) {
      _mm512_store_si512(p.scales[4 * h + i], unsigned_byte<i>(scales[h]));
    });
    each<2>([&](auto i) __attribute__((always_inline)) {
      _mm512_store_si512(p.mins[2 * h + i], unsigned_words<i>(mins[h]));
    });
  });
}

template <VnniIsa Isa>
struct PanelOps<Q4_K, Isa> : SuperblockPanel<Isa, 32, 0, true> {
  __attribute__((noinline)) static void fill(PanelRow row, int, BytePanel& p) {
    fill_k_scales(row, p);
    for (int i = 0; i < 8; ++i) {
      __m512i v[4];
      turn(row, 16 + 16 * i, v);
      each<4>([&](auto k) __attribute__((always_inline)) {
        auto* to = p.codes[i / 2 * 16 + i % 2 * 4 + k];
        _mm512_store_si512(to, low_bits(v[k], 0, 15));
        _mm512_store_si512(to + 8 * 64, low_bits(v[k], 4, 15));
      });
    }
  }
};

template <VnniIsa Isa>
struct PanelOps<Q5_K, Isa> : SuperblockPanel<Isa, 32, 0, true> {
  __attribute__((noinline)) static void fill(PanelRow row, int, BytePanel& p) {
    fill_k_scales(row, p);
    __m512i fifth[2][4];
    turn(row, 16, fifth[0]);
    turn(row, 32, fifth[1]);
    for (int i = 0; i < 8; ++i) {
      __m512i v[4];
      turn(row, 48 + 16 * i, v);
      each<4>([&](auto k) __attribute__((always_inline)) {
        __m512i& bits = fifth[i % 2][k];
        auto* to = p.codes[i / 2 * 16 + i % 2 * 4 + k];
        const __m512i sixteen = _mm512_set1_epi8(16);
        const __m512i low = _mm512_and_si512(_mm512_slli_epi16(bits, 4), sixteen);
        const __m512i high = _mm512_and_si512(_mm512_slli_epi16(bits, 3), sixteen);
        _mm512_store_si512(to, _mm512_or_si512(low_bits(v[k], 0, 15), low));
        _mm512_store_si512(to + 8 * 64, _mm512_or_si512(low_bits(v[k], 4, 15), high));
        bits = _mm512_srli_epi16(bits, 2);
      });
    }
  }
};

template <VnniIsa Isa>
struct PanelOps<Q6_K, Isa> : SuperblockPanel<Isa, 16, 32, false> {
  __attribute__((noinline)) static void fill(PanelRow row, int, BytePanel& p) {
    __m512i v[4];
    turn(row, 192, v);
    each<16>([&](auto g) __attribute__((always_inline)) {
      _mm512_store_si512(p.scales[g], signed_byte<g % 4>(v[g / 4]));
    });
    turn(row, 210 - 16, v);
    _mm512_store_ps(p.d[0], high_halves(v[3]));
    for (int h = 0; h < 2; ++h)
      for (int i = 0; i < 2; ++i) {
        __m512i high[4], low[2][4];
        turn(row, 128 + 32 * h + 16 * i, high);
        turn(row, 64 * h + 16 * i, low[0]);
        turn(row, 64 * h + 32 + 16 * i, low[1]);
        each<4>([&](auto k) __attribute__((always_inline)) {
          const __m512i top = _mm512_set1_epi8(0x30);
          auto* to = p.codes[32 * h + 4 * i + k];
          const auto store = [&](int part, __m512i four, __m512i two) __attribute__((always_inline)) {
            _mm512_store_si512(to + 8 * 64 * part, _mm512_or_si512(four, _mm512_and_si512(two, top)));
          };
          store(0, low_bits(low[0][k], 0, 15), _mm512_slli_epi16(high[k], 4));
          store(1, low_bits(low[1][k], 0, 15), _mm512_slli_epi16(high[k], 2));
          store(2, low_bits(low[0][k], 4, 15), high[k]);
          store(3, low_bits(low[1][k], 4, 15), _mm512_srli_epi16(high[k], 2));
        });
      }
  }
};

// Scale times code is at most 45: a panel of products, and no scales in the sums.
template <VnniIsa Isa>
struct PanelOps<Q2_K, Isa> : SuperblockPanel<Isa, 256, 0, true> {
  __attribute__((noinline)) static void fill(PanelRow row, int, BytePanel& p) {
    __m512i v[4];
    turn(row, 84 - 16, v);
    _mm512_store_ps(p.d[0], low_halves(v[3]));
    _mm512_store_ps(p.m[0], high_halves(v[3]));
    turn(row, 0, v);
    __m512i times[16];  // of each group and row: 0, 1, 2, 3 times the scale, as bytes
    each<16>([&](auto g) __attribute__((always_inline)) {
      times[g] =
          _mm512_mullo_epi32(unsigned_byte<g % 4>(low_bits(v[g / 4], 0, 15)), _mm512_set1_epi32(0x03020100));
    });
    each<8>([&](auto i) __attribute__((always_inline)) {
      _mm512_store_si512(p.mins[i], unsigned_words<i % 2>(low_bits(v[i / 2], 4, 15)));
    });
    // Of the four rows in a lane each looks into its own quarter of the table.
    const __m512i quarter = _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c));
    each<4>([&](auto c) __attribute__((always_inline)) {
      constexpr int h = c / 2, i = c % 2;
      turn(row, 16 + 16 * c, v);
      each<4>([&](auto part) __attribute__((always_inline)) {
        each<4>([&](auto k) __attribute__((always_inline)) {
          const __m512i code = _mm512_or_si512(low_bits(v[k], 2 * part, 3), quarter);
          _mm512_store_si512(p.codes[32 * h + 8 * part + 4 * i + k],
                             _mm512_shuffle_epi8(times[8 * h + 2 * part + i], code));
        });
      });
    });
  }
};

template <VnniIsa Isa>
struct PanelOps<IQ4_XS, Isa> : SuperblockPanel<Isa, 32, 128, false> {
  __attribute__((noinline)) static void fill(PanelRow row, int, BytePanel& p) {
    __m512i v[4];
    turn(row, 0, v);
    _mm512_store_ps(p.d[0], low_halves(v[0]));
    each<8>([&](auto g) __attribute__((always_inline)) {
      const __m512i low = _mm512_and_si512(_mm512_srli_epi32(v[1], 4 * g), _mm512_set1_epi32(15));
      const __m512i high = _mm512_and_si512(_mm512_srli_epi32(v[0], 16 + 2 * g), _mm512_set1_epi32(3));
      _mm512_store_si512(p.scales[g], _mm512_sub_epi32(_mm512_or_si512(low, _mm512_slli_epi32(high, 4)),
                                                       _mm512_set1_epi32(32)));
    });
    const __m512i levels = _mm512_broadcast_i32x4(_mm_xor_si128(load16(iq4_levels), _mm_set1_epi8(-128)));
    for (int g = 0; g < 8; ++g) {
      turn(row, 8 + 16 * g, v);
      each<4>([&](auto k) __attribute__((always_inline)) {
        _mm512_store_si512(p.codes[8 * g + k], _mm512_shuffle_epi8(levels, low_bits(v[k], 0, 15)));
        _mm512_store_si512(p.codes[8 * g + 4 + k], _mm512_shuffle_epi8(levels, low_bits(v[k], 4, 15)));
      });
    }
  }
};

// Four levels of 2 bits, two points in a register of words: formats/iq2_xxs.h, with lanes for rows.
template <VnniIsa Isa>
struct PanelOps<IQ2_XXS, Isa> : SuperblockPanel<Isa, 32, 64, false> {
  __attribute__((noinline)) static void fill(PanelRow row, int, BytePanel& p) {
    __m512i v[4];
    turn(row, 0, v);
    _mm512_store_ps(p.d[0], _mm512_mul_ps(low_halves(v[0]), _mm512_set1_ps(0.125F)));
    for (int pair = 0; pair < 4; ++pair) {
      turn(row, 2 + 16 * pair, v);
      points_of(v[0], v[1], 2 * pair, p);
      points_of(v[2], v[3], 2 * pair + 1, p);
    }
  }

 private:
  COTERIE_INLINE static void points_of(__m512i points, __m512i rest, int g, BytePanel& p) {
    const __m512i one = _mm512_set1_epi32(1);
    _mm512_store_si512(p.scales[g], _mm512_or_si512(_mm512_slli_epi32(_mm512_srli_epi32(rest, 28), 1), one));
    const __m512i low = _mm512_set1_epi16(255);
    const __m512i words[2] = {look_up(_mm512_and_si512(points, low)),
                              look_up(_mm512_and_si512(_mm512_srli_epi16(points, 8), low))};
    const __m512i signs = even_signs(rest);
    each<4>([&](auto k) __attribute__((always_inline)) {
      const __m512i sign = each_four_times<k>(signs);
      each<2>([&](auto h) __attribute__((always_inline)) {
        const __m512i pairs = each_four_times<k / 2 * 2 + h>(words[k % 2]);
        const __mmask64 minus = _mm512_test_epi8_mask(
            sign, _mm512_set1_epi32(h == 0 ? 0x08040201 : static_cast<int>(0x80402010U)));
        _mm512_store_si512(p.codes[8 * g + 2 * k + h], levels(pairs, minus));
      });
    });
  }
  // Byte i of each lane in all four of its bytes.
  template <int i>
  COTERIE_INLINE static __m512i each_four_times(__m512i v) {
    const __m128i first = _mm_set1_epi8(i);
    return _mm512_shuffle_epi8(v, _mm512_broadcast_i32x4(_mm_add_epi8(
                                      first, _mm_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c))));
  }
  COTERIE_INLINE static __m512i look_up(__m512i index) {
    const auto part = [&](int k) __attribute__((always_inline)) {
      return _mm512_permutex2var_epi16(_mm512_loadu_si512(iq2_xxs_grid + 64 * k), index,
                                       _mm512_loadu_si512(iq2_xxs_grid + 64 * k + 32));
    };
    const __mmask32 bit6 = _mm512_test_epi16_mask(index, _mm512_set1_epi16(64));
    const __mmask32 bit7 = _mm512_test_epi16_mask(index, _mm512_set1_epi16(128));
    return _mm512_mask_blend_epi16(bit7, _mm512_mask_blend_epi16(bit6, part(0), part(1)),
                                   _mm512_mask_blend_epi16(bit6, part(2), part(3)));
  }
  // Four times seven bits to four bytes, the top bit of each making the number of its signs even.
  COTERIE_INLINE static __m512i even_signs(__m512i bits) {
    const auto part = [](__m512i v, int mask) { return _mm512_and_si512(v, _mm512_set1_epi32(mask)); };
    const __m512i halves = _mm512_or_si512(part(bits, 0x3fff), part(_mm512_slli_epi32(bits, 2), 0x3fff0000));
    const __m512i bytes =
        _mm512_or_si512(part(halves, 0x007f007f), part(_mm512_slli_epi32(halves, 1), 0x7f007f00));
    const __m512i odd =
        _mm512_broadcast_i32x4(_mm_setr_epi32(static_cast<int>(0x00808000U), static_cast<int>(0x80000080U),
                                              static_cast<int>(0x80000080U), static_cast<int>(0x00808000U)));
    return _mm512_xor_si512(bytes, _mm512_xor_si512(_mm512_shuffle_epi8(odd, low_bits(bytes, 0, 15)),
                                                    _mm512_shuffle_epi8(odd, low_bits(bytes, 4, 15))));
  }
  // As in iq_quants.h, with 64 added.
  COTERIE_INLINE static __m512i levels(__m512i pairs, __mmask64 minus) {
    const __m512i own = _mm512_and_si512(pairs, _mm512_set1_epi32(static_cast<int>(0xc0300c03U)));
    const __m512i nibble =
        _mm512_and_si512(_mm512_or_si512(own, _mm512_srli_epi16(own, 4)), _mm512_set1_epi8(15));
    const __m128i level = _mm_setr_epi8(8, 25, 43, 0, 25, 0, 0, 0, 43, 0, 0, 0, 0, 0, 0, 0);
    const __m128i middle = _mm_set1_epi8(64);
    const __m512i up = _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_add_epi8(middle, level)), nibble);
    return _mm512_mask_shuffle_epi8(up, minus, _mm512_broadcast_i32x4(_mm_sub_epi8(middle, level)), nibble);
  }
};

template <VnniIsa Isa>
struct PanelOps<Q8_0, Isa> : SmallBlockPanel<Isa, 128, false> {
  __attribute__((noinline)) static void fill(PanelRow row, int n_columns, BytePanel& p) {
    alignas(32) std::uint16_t scales[8][16];
    const int n_blocks = n_columns / 32;
    for (int r = 0; r < 16; ++r)
      for (int b = 0; b < n_blocks; ++b) __builtin_memcpy(&scales[b][r], row[r] + 34 * b, 2);
    for (int b = 0; b < n_blocks; ++b)
      each<2>([&](auto h) __attribute__((always_inline)) {
        __m512i v[4];
        turn(row, 34 * b + 2 + 16 * h, v);
        each<4>([&](auto k) __attribute__((always_inline)) {
          _mm512_store_si512(p.codes[8 * b + 4 * h + k], _mm512_xor_si512(v[k], _mm512_set1_epi8(-128)));
        });
      });
    for (int b = 0; b < n_blocks; ++b)
      _mm512_store_ps(p.d[b], _mm512_cvtph_ps(Wide<Avx2>::load32(scales[b])));
  }
};

template <class F>
constexpr int small_panel_offset = Unpack32<F>::is_signed ? 128 : Unpack32<F>::offset;

template <class F, VnniIsa Isa>
requires std::is_same_v<typename F::Integers, Integers32>
struct PanelOps<F, Isa> : SmallBlockPanel<Isa, small_panel_offset<F>, F::has_mins> {
  __attribute__((noinline)) static void fill(PanelRow row, int n_columns, BytePanel& p) {
    alignas(64) std::byte codes[16][256];
    const std::byte* turned[16];
    for (int r = 0; r < 16; ++r) {
      turned[r] = codes[r];
      const auto* blocks = reinterpret_cast<const typename F::Block*>(row[r]);
      for (int b = 0; b < n_columns / 32; ++b) {
        typename Unpack32<F>::Unpacked u;
        Unpack32<F>::run(blocks[b], u);
        if constexpr (Unpack32<F>::is_signed) u.q = _mm256_xor_si256(u.q, _mm256_set1_epi8(-128));
        _mm256_store_si256(reinterpret_cast<__m256i*>(codes[r] + 32 * b), u.q);
        p.d[b][r] = as_float(u.d);
        if constexpr (F::has_mins) p.m[b][r] = as_float(u.m);
      }
    }
    turn_codes(turned, p);
  }

 private:
  COTERIE_INLINE static float as_float(float f) { return f; }
  COTERIE_INLINE static float as_float(std::uint16_t half) { return _cvtsh_ss(half); }
};

}  // namespace coterie
