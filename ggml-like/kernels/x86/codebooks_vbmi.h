// The codebook formats with AVX-512 VBMI and GFNI, for one input: a grid is a table of bytes in registers,
// which one instruction permutes for 64 indices at once (128 entries to an instruction; masks choose among
// several).
//
//   IQ2   three levels and a sign, three bits to a weight. The tables give bytes with one bit for each of a point's
//         eight weights; the bytes of a group's four points and their signs are a matrix of bits, whose transposition
//         (an affine map of the unit vectors) has the bits of all points' first weight in a byte, and so on: one shift
//         for each point, and its levels are looked up
//   IQ3   eight levels and a sign, four bits to a weight: the tables give two bytes of two nibbles whose top bit is free
//         for the sign
//
// Shuffles bind. Levels and signs by masks took 41 cycles a block of IQ2 on Zen 4, matrices of single points
// 28; lanes by groups (lanes.h), Sapphire Rapids, rows in the second-level cache, times as fast as those:
// IQ2_XXS 1.28, IQ2_XS 1.10, IQ3_XXS 1.26, IQ3_S 1.14.
#pragma once

#include "formats/grid_tables.h"
#include "formats/iq2_xs.h"
#include "formats/iq2_xxs.h"
#include "formats/iq3_s.h"
#include "formats/iq3_xxs.h"
#include "kernels/x86/lanes.h"

namespace coterie {

struct Bytes64 {
  alignas(64) std::uint8_t at[64];
};
struct EvenSigns {
  alignas(64) std::uint8_t at[128];
};
consteval EvenSigns make_even_signs() {
  EvenSigns s = {};
  for (unsigned i = 0; i < 128; ++i) s.at[i] = static_cast<std::uint8_t>(even_signs(i));
  return s;
}
constexpr EvenSigns even_signs_of = make_even_signs();

template <>
struct Wide<Avx512Vbmi> : Wide<Avx512Vnni> {
  // table[index] for 64 bytes of index, an eighth and a ninth bit in masks.
  COTERIE_INLINE static V look_up_128(const std::uint8_t* table, V index) {
    return _mm512_permutex2var_epi8(_mm512_load_si512(table), index, _mm512_load_si512(table + 64));
  }
  COTERIE_INLINE static V look_up_256(const std::uint8_t* table, V index, Signs eighth) {
    return _mm512_mask_blend_epi8(eighth, look_up_128(table, index), look_up_128(table + 128, index));
  }
  COTERIE_INLINE static V look_up_512(const std::uint8_t* table, V index, Signs eighth, Signs ninth) {
    return _mm512_mask_blend_epi8(ninth, look_up_256(table, index, eighth),
                                  look_up_256(table + 256, index, eighth));
  }
  // By bits 0 to 5 of the index.
  COTERIE_INLINE static V look_up_64(const Bytes64& table, V index) {
    return _mm512_permutexvar_epi8(index, _mm512_load_si512(table.at));
  }

  // Signs of four points to bytes of quadwords, four times seven bits from a bit on: the eighth of each makes the
  // number of signs even.
  template <int from_bit, int to_byte>
  COTERIE_INLINE static V even_signs4(V quadwords) {
    constexpr long long windows = 0x150e0700 + 0x01010101LL * from_bit;
    return look_up_128(even_signs_of.at,
                       _mm512_multishift_epi64_epi8(_mm512_set1_epi64(windows << (8 * to_byte)), quadwords));
  }

  // Down by n bits, or up; within words, so that other bytes' bits come in at the end.
  template <int n>
  COTERIE_INLINE static V down(V a) {
    if constexpr (n == 0)
      return a;
    else if constexpr (n > 0)
      return _mm512_srli_epi16(a, n);
    else
      return _mm512_slli_epi16(a, -n);
  }

  COTERIE_INLINE static V odd(V doublewords) { return or_(doublewords, _mm512_set1_epi32(1)); }
};

// Where the shift by steps of set_iq2_codes leaves the second level.
constexpr int iq2_second_bit(int step) { return 7 - 3 * step; }

// 64 + level, or less, by the sign in bit 0, the second level, and the third in bit 5.
consteval Bytes64 make_iq2_levels(int second) {
  Bytes64 t = {};
  for (int i = 0; i < 64; ++i) {
    const int level = (i >> 5 & 1) != 0 ? 43 : (i >> second & 1) != 0 ? 25 : 8;
    t.at[i] = static_cast<std::uint8_t>((i & 1) != 0 ? 64 - level : 64 + level);
  }
  return t;
}
template <int step>
constexpr Bytes64 iq2_levels = make_iq2_levels(iq2_second_bit(step));

// From quadwords of bytes, one for each point of a group; byte p of the matrix becomes bit 7 - p of the
// transposed. The second levels are bytes `step` apart from byte 0 on, the third ones likewise in the other
// register; the last sign is byte 7, `step` apart too, so that one shift brings a point's sign and its second
// level to the same bits as every other's.
template <int step>
COTERIE_INLINE void set_iq2_codes(__m512i seconds_and_signs, __m512i thirds, __m512i (&q)[4]) {
  using W = Wide<Avx512Vbmi>;
  const __m512i units = _mm512_set1_epi64(static_cast<long long>(0x8040201008040201ULL));
  const __m512i two = _mm512_gf2p8affine_epi64_epi8(units, seconds_and_signs, 0);
  const __m512i third = _mm512_gf2p8affine_epi64_epi8(units, thirds, 0);
  each<4>([&](auto k) __attribute__((always_inline)) {
    q[k] = W::look_up_64(iq2_levels<step>, choose(W::bytes(1 | 1 << iq2_second_bit(step)),
                                                  W::down<step*(3 - k)>(two), W::down<2 - step * k>(third)));
  });
}

template <>
struct StreamOps<IQ2_XXS, Avx512Vbmi> : LaneOps<float, LaneOrder::points, 64> {
  COTERIE_INLINE static void unpack(const IQ2_XXS::Block& b, Unpacked& u) {
    using W = Wide<Avx512Vbmi>;
    u.d = _cvtsh_ss(b.scale.bits) * 0.125F;
    const __m512i groups = W::load(b.groups);  // quadwords: four points, then signs and scale
    u.scales[0] = _mm512_shuffle_epi32(W::odd(_mm512_srli_epi32(groups, 27)), _MM_PERM_DDBB);
    const __mmask64 eighth = _mm512_movepi8_mask(groups);
    const __m512i seconds = W::look_up_256(iq2_xxs_planes.low, groups, eighth);
    set_iq2_codes<1>(_mm512_mask_blend_epi32(0xaaaa, seconds, W::even_signs4<32, 4>(groups)),
                     W::look_up_256(iq2_xxs_planes.high, groups, eighth), u.q);
  }
};

template <>
struct StreamOps<IQ2_XS, Avx512Vbmi> : LaneOps<float, LaneOrder::points, 64, 2> {
  COTERIE_INLINE static void unpack(const IQ2_XS::Block& b, Unpacked& u) {
    using W = Wide<Avx512Vbmi>;
    u.d = _cvtsh_ss(b.scale.bits) * 0.125F;
    // Byte g has both scales of group g.
    const __m512i bytes = _mm512_multishift_epi64_epi8(
        _mm512_setr_epi64(0, 0x0800000008, 0x1000000010, 0x1800000018, 0x2000000020, 0x2800000028,
                          0x3000000030, 0x3800000038),
        _mm512_set1_epi64(static_cast<long long>(load_u64(b.scales))));
    u.scales[0] = W::odd(W::and_(_mm512_add_epi32(bytes, bytes), W::doublewords(30)));
    u.scales[1] = W::odd(W::and_(_mm512_srli_epi32(bytes, 3), W::doublewords(30)));
    const __m512i points = W::load(b.points);  // words: nine bits, then seven signs
    const __mmask64 eighth = _mm512_movepi8_mask(points);
    const __mmask64 ninth = _mm512_test_epi8_mask(_mm512_srli_epi16(points, 8), W::bytes(1));
    const __m512i seconds = W::look_up_512(iq2_xs_planes.low, points, eighth, ninth);
    const __m512i signs = W::look_up_128(even_signs_of.at, _mm512_srli_epi16(points, 1));
    set_iq2_codes<2>(_mm512_mask_blend_epi8(0xaaaaaaaaaaaaaaaaULL, seconds, signs),
                     W::look_up_512(iq2_xs_planes.high, points, eighth, ninth), u.q);
  }
};

// 64 + level, or less, by bits 0 to 2 and the sign in bit 3.
consteval Bytes64 make_iq3_levels(const int (&level)[8]) {
  Bytes64 t = {};
  for (int i = 0; i < 64; ++i)
    t.at[i] = static_cast<std::uint8_t>((i & 8) != 0 ? 64 - level[i & 7] : 64 + level[i & 7]);
  return t;
}
constexpr Bytes64 iq3_xxs_levels = make_iq3_levels({4, 12, 20, 28, 36, 44, 52, 62});
constexpr Bytes64 iq3_s_levels = make_iq3_levels({1, 3, 5, 7, 9, 11, 13, 15});

// `low` has the first and second weight of each point in its nibbles, `high` the third and fourth; the signs of
// a group, 32 bits from bit 0 of its quadword, become nibbles too, one for each point.
COTERIE_INLINE void set_iq3_codes(const Bytes64& levels, __m512i low, __m512i high, __m512i signs,
                                  __m512i (&q)[4]) {
  using W = Wide<Avx512Vbmi>;
  const __m512i each_point = _mm512_multishift_epi64_epi8(_mm512_set1_epi64(0x1c1814100c080400), signs);
  each<4>([&](auto k) __attribute__((always_inline)) {
    q[k] = W::look_up_64(
        levels, choose(W::bytes(7), W::down<k % 2 * 4>(k < 2 ? low : high), W::down<k - 3>(each_point)));
  });
}

template <>
struct StreamOps<IQ3_XXS, Avx512Vbmi> : LaneOps<float, LaneOrder::weights, 64> {
  COTERIE_INLINE static void unpack(const IQ3_XXS::Block& b, Unpacked& u) {
    using W = Wide<Avx512Vbmi>;
    u.d = _cvtsh_ss(b.scale.bits) * 0.25F;
    const __m512i rest = _mm512_cvtepu32_epi64(W::load32(b.signs_and_scales));
    u.scales[0] = _mm512_shuffle_epi32(W::odd(_mm512_srli_epi32(rest, 27)), _MM_PERM_CCAA);
    const __m512i points = W::load(b.points);
    const __mmask64 eighth = _mm512_movepi8_mask(points);
    set_iq3_codes(iq3_xxs_levels, W::look_up_256(iq3_xxs_planes.low, points, eighth),
                  W::look_up_256(iq3_xxs_planes.high, points, eighth), W::even_signs4<0, 0>(rest), u.q);
  }
};

template <>
struct StreamOps<IQ3_S, Avx512Vbmi> : LaneOps<std::uint16_t, LaneOrder::weights, 64> {
  COTERIE_INLINE static void unpack(const IQ3_S::Block& b, Unpacked& u) {
    using W = Wide<Avx512Vbmi>;
    u.d = b.scale.bits;
    const __m512i nibbles =
        _mm512_srlv_epi32(W::doublewords(load_u32(b.scales)),
                          _mm512_setr_epi32(0, 0, 4, 4, 8, 8, 12, 12, 16, 16, 20, 20, 24, 24, 28, 28));
    u.scales[0] = W::odd(W::and_(_mm512_add_epi32(nibbles, nibbles), W::doublewords(30)));
    const __m512i points = W::load(b.points_low);
    const __mmask64 eighth = _mm512_movepi8_mask(points);
    const __mmask64 ninth = _cvtu64_mask64(load_u64(b.points_high));
    set_iq3_codes(iq3_s_levels, W::look_up_512(iq3_s_planes.low, points, eighth, ninth),
                  W::look_up_512(iq3_s_planes.high, points, eighth, ninth),
                  _mm512_cvtepu32_epi64(W::load32(b.signs)), u.q);
  }
};

}  // namespace coterie
