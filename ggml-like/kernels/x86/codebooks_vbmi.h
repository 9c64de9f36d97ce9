// The codebook formats with AVX-512 VBMI and GFNI: a grid is a table of bytes in registers, which one
// instruction permutes for 64 indices at once (128 entries to an instruction; masks choose among several).
//
//   IQ2   three levels and a sign, three bits to a weight. The tables give bytes with one bit for each of
//         eight weights: a point's bytes and its signs side by side are a matrix of bits, whose transposition
//         (an affine map of the unit vectors) has the three bits of a weight in a byte, an index into levels
//   IQ3   eight levels: the tables give two bytes of two nibbles, and a byte shuffle the levels
//
// Shuffles and mask registers bind (Zen 4: one shuffle of 64 bytes a cycle, a mask 1.5). IQ2 with masks for
// levels and signs took 41 cycles a block.
#pragma once

#include "kernels/x86/codebooks_vnni.h"

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

  // Signs of four points in doublewords i of quadwords, four times seven bits from a bit on; and those of
  // eight points: the eighth of each makes the number of signs even.
  template <int from_bit, int to_byte>
  COTERIE_INLINE static V even_signs4(V quadwords) {
    constexpr long long windows = 0x150e0700 + 0x01010101LL * from_bit;
    return look_up_128(even_signs_of.at,
                       _mm512_multishift_epi64_epi8(_mm512_set1_epi64(windows << (8 * to_byte)), quadwords));
  }
  // The scales of eight groups of 32, in quadwords.
  COTERIE_INLINE static void lay_out_odd(V odd, Scales& out) {
    const V first = _mm512_set_epi16(12, 12, 12, 12, 4, 4, 4, 4, 12, 12, 12, 12, 4, 4, 4, 4, 8, 8, 8, 8, 0, 0,
                                     0, 0, 8, 8, 8, 8, 0, 0, 0, 0);
    out[0] = _mm512_permutexvar_epi16(first, odd);
    out[1] = _mm512_permutexvar_epi16(_mm512_add_epi16(first, _mm512_set1_epi16(16)), odd);
  }
  COTERIE_INLINE static V odd(V quadwords) { return _mm512_or_si512(quadwords, _mm512_set1_epi64(1)); }
};

// Where the matrices of eight points get their bytes from, the map taking the last as bit 0: second levels
// from `place[p]` of one register, signs `signs_after` behind, third levels from `place[p]` of the other.
struct Iq2Order {
  Bytes64 chunk[4];
};
consteval Iq2Order iq2_order(const int (&place)[8], int signs_after) {
  Iq2Order order = {};
  for (int c = 0; c < 4; ++c)
    for (int p = 0; p < 8; ++p) {
      const int at = 16 * c + place[p];
      order.chunk[c].at[8 * p + 5] = static_cast<std::uint8_t>(at + signs_after);
      order.chunk[c].at[8 * p + 6] = static_cast<std::uint8_t>(at + 64);
      order.chunk[c].at[8 * p + 7] = static_cast<std::uint8_t>(at);
    }
  return order;
}
constexpr Iq2Order iq2_xxs_order = iq2_order({0, 1, 2, 3, 8, 9, 10, 11}, 4);
constexpr Iq2Order iq2_xs_order = iq2_order({0, 2, 4, 6, 8, 10, 12, 14}, 1);

// 64 + level by second, third, sign in bits 0 to 2; the bits above are whatever there was.
consteval Bytes64 make_iq2_levels() {
  Bytes64 t = {};
  for (int i = 0; i < 64; ++i) {
    const int level = (i & 2) != 0 ? 43 : (i & 1) != 0 ? 25 : 8;
    t.at[i] = static_cast<std::uint8_t>((i & 4) != 0 ? 64 - level : 64 + level);
  }
  return t;
}
constexpr Bytes64 iq2_levels = make_iq2_levels();

// 64 plus or minus the levels.
template <class Unpacked>
COTERIE_INLINE void set_iq2_levels(const Iq2Order& order, __m512i second_and_signs, __m512i third,
                                   Unpacked& u) {
  const __m512i units = _mm512_set1_epi64(static_cast<long long>(0x8040201008040201ULL));
  const __m512i levels = _mm512_load_si512(iq2_levels.at);
  for (int c = 0; c < 4; ++c) {
    const __m512i rows =
        _mm512_permutex2var_epi8(second_and_signs, _mm512_load_si512(order.chunk[c].at), third);
    u.q[c] = _mm512_permutexvar_epi8(_mm512_gf2p8affine_epi64_epi8(units, rows, 0), levels);
  }
}
template <class Unpacked>
COTERIE_INLINE void set_iq2_scales(__m256i words, Unpacked& u) {
  Wide<Avx512Vbmi>::spread(words, u.pair_scales);
  u.group_words = _mm256_slli_epi16(_mm256_sub_epi16(_mm256_setzero_si256(), words), 6);  // -64 scale
}

template <>
struct Unpack256<IQ2_XXS, Avx512Vbmi> {
  using Unpacked = Unpacked256<Avx512Vbmi, float>;
  static constexpr Codes codes = Codes::wide_offset;
  COTERIE_INLINE static void run(const IQ2_XXS::Block& b, Unpacked& u) {
    using W = Wide<Avx512Vbmi>;
    u.d = _cvtsh_ss(b.scale.bits) * 0.125F;
    const __m512i groups = W::load(b.groups);  // quadwords: four points, then signs and scale
    const __m256i scales = _mm512_cvtepi64_epi32(W::odd(_mm512_srli_epi64(groups, 59)));
    set_iq2_scales(twice_each(scales), u);
    const __mmask64 eighth = _mm512_movepi8_mask(groups);
    const __m512i second = W::look_up_256(iq2_xxs_planes.low, groups, eighth);
    const __m512i third = W::look_up_256(iq2_xxs_planes.high, groups, eighth);
    const __m512i signs = W::even_signs4<32, 4>(groups);
    const __m512i both = _mm512_mask_blend_epi32(0xaaaa, second, signs);
    set_iq2_levels(iq2_xxs_order, both, third, u);
  }
};

template <>
struct Unpack256<IQ2_XS, Avx512Vbmi> {
  using Unpacked = Unpacked256<Avx512Vbmi, float>;
  static constexpr Codes codes = Codes::wide_offset;
  COTERIE_INLINE static void run(const IQ2_XS::Block& b, Unpacked& u) {
    using W = Wide<Avx512Vbmi>;
    u.d = _cvtsh_ss(b.scale.bits) * 0.125F;
    set_iq2_scales(odd_scales16(b.scales), u);
    const __m512i points = W::load(b.points);  // words: nine bits, then seven signs
    const __mmask64 eighth = _mm512_movepi8_mask(points);
    const __mmask64 ninth = _mm512_test_epi8_mask(_mm512_srli_epi16(points, 8), W::bytes(1));
    const __m512i second = W::look_up_512(iq2_xs_planes.low, points, eighth, ninth);
    const __m512i third = W::look_up_512(iq2_xs_planes.high, points, eighth, ninth);
    const __m512i signs = W::look_up_128(even_signs_of.at, _mm512_srli_epi16(points, 1));
    const __m512i both = _mm512_mask_blend_epi8(0xaaaaaaaaaaaaaaaaULL, second, signs);
    set_iq2_levels(iq2_xs_order, both, third, u);
  }
};

// Levels of 256 weights: `low` the first and second of each point, `high` the third and fourth, by nibbles.
template <class Unpacked>
COTERIE_INLINE void set_iq3_levels(__m128i levels, __m512i low, __m512i high, Unpacked& u) {
  using W = Wide<Avx512Vbmi>;
  // Unpacking works within lanes: lane l gets four points of each quarter first.
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  low = _mm512_permutexvar_epi32(order, low);
  high = _mm512_permutexvar_epi32(order, high);
  const __m512i halves[2] = {_mm512_unpacklo_epi8(low, high), _mm512_unpackhi_epi8(low, high)};
  for (int h = 0; h < 2; ++h) {
    // No mask before the look-ups: bit 7 of every byte, which would give zero, is the unused top bit of a code.
    const __m512i even = W::look_up(levels, halves[h]);
    const __m512i odd = W::look_up(levels, _mm512_srli_epi16(halves[h], 4));
    u.q[2 * h] = _mm512_unpacklo_epi8(even, odd);
    u.q[2 * h + 1] = _mm512_unpackhi_epi8(even, odd);
  }
}

template <>
struct Unpack256<IQ3_XXS, Avx512Vbmi> {
  using Unpacked = Unpacked256<Avx512Vbmi, float>;
  static constexpr Codes codes = Codes::levels;
  COTERIE_INLINE static void run(const IQ3_XXS::Block& b, Unpacked& u) {
    using W = Wide<Avx512Vbmi>;
    u.d = _cvtsh_ss(b.scale.bits) * 0.25F;
    const __m512i rest = _mm512_cvtepu32_epi64(W::load32(b.signs_and_scales));
    W::lay_out_odd(W::odd(_mm512_srli_epi64(rest, 27)), u.scales);
    set_signs<Avx512Vbmi>(_mm512_cvtepi64_epi32(W::even_signs4<0, 0>(rest)), u);
    const __m512i points = W::load(b.points);
    const __mmask64 eighth = _mm512_movepi8_mask(points);
    set_iq3_levels(_mm_setr_epi8(4, 12, 20, 28, 36, 44, 52, 62, 0, 0, 0, 0, 0, 0, 0, 0),
                   W::look_up_256(iq3_xxs_planes.low, points, eighth),
                   W::look_up_256(iq3_xxs_planes.high, points, eighth), u);
  }
};

template <>
struct Unpack256<IQ3_S, Avx512Vbmi> {
  using Unpacked = Unpacked256<Avx512Vbmi, std::uint16_t>;
  static constexpr Codes codes = Codes::levels;
  COTERIE_INLINE static void run(const IQ3_S::Block& b, Unpacked& u) {
    using W = Wide<Avx512Vbmi>;
    u.d = b.scale.bits;
    W::lay_out(odd_scales8(b.scales), u.scales);
    set_signs<Avx512Vbmi>(static_cast<const void*>(b.signs), u);
    const __m512i points = W::load(b.points_low);
    const __mmask64 eighth = _mm512_movepi8_mask(points);
    std::uint64_t high;
    __builtin_memcpy(&high, b.points_high, sizeof high);
    const __mmask64 ninth = _cvtu64_mask64(high);
    set_iq3_levels(_mm_setr_epi8(1, 3, 5, 7, 9, 11, 13, 15, 0, 0, 0, 0, 0, 0, 0, 0),
                   W::look_up_512(iq3_s_planes.low, points, eighth, ninth),
                   W::look_up_512(iq3_s_planes.high, points, eighth, ninth), u);
  }
};

}  // namespace coterie
