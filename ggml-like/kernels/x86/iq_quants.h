// The IQ formats, unpacked in registers; the bytes are drawn in formats/iq4_xs.h and so on.
//
// The grid points of most are looked up one by one, eight or four bytes each: on AVX2 nothing is faster (a
// gather costs more than its loads). codebooks_vbmi.h permutes whole tables instead.
#pragma once

#include "formats/grid_tables.h"
#include "formats/iq1_m.h"
#include "formats/iq2_s.h"
#include "formats/iq2_xs.h"
#include "formats/iq2_xxs.h"
#include "formats/iq3_s.h"
#include "formats/iq3_xxs.h"
#include "formats/iq4_xs.h"
#include "kernels/x86/k_quants.h"

namespace coterie {

// Group g of IQ4_XS: four bits at nibble g of scales_low, two at bits 2 g of scales_high, less 32.
COTERIE_INLINE __m256i iq4_scales(const IQ4_XS::Block& b) {
  const __m256i g = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i low = _mm256_set1_epi32(static_cast<int>(load_u32(b.scales_low)));
  const __m256i high = _mm256_set1_epi32(b.scales_high[0] | b.scales_high[1] << 8);
  const __m256i low4 =
      _mm256_and_si256(_mm256_srlv_epi32(low, _mm256_slli_epi32(g, 2)), _mm256_set1_epi32(15));
  const __m256i high2 =
      _mm256_and_si256(_mm256_srlv_epi32(high, _mm256_slli_epi32(g, 1)), _mm256_set1_epi32(3));
  return _mm256_sub_epi32(_mm256_or_si256(low4, _mm256_slli_epi32(high2, 4)), _mm256_set1_epi32(32));
}

// The lower word of each doubleword in both of its words.
COTERIE_INLINE __m256i twice_each(__m256i doublewords) {
  return _mm256_or_si256(_mm256_and_si256(doublewords, _mm256_set1_epi32(0xffff)),
                         _mm256_slli_epi32(doublewords, 16));
}
// Eight words to sixteen.
COTERIE_INLINE __m256i twice_each(__m128i words) {
  return _mm256_set_m128i(_mm_unpackhi_epi16(words, words), _mm_unpacklo_epi16(words, words));
}

// Sixteen nibbles to words 2 n + 1.
COTERIE_INLINE __m256i odd_scales16(const std::uint8_t* bytes) {
  const __m128i b = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes));
  const __m128i nibbles = _mm_and_si128(_mm_unpacklo_epi8(b, _mm_srli_epi16(b, 4)), _mm_set1_epi8(15));
  return _mm256_cvtepu8_epi16(_mm_or_si128(_mm_add_epi8(nibbles, nibbles), _mm_set1_epi8(1)));
}
// Eight nibbles to words 2 n + 1, each twice.
COTERIE_INLINE __m256i odd_scales8(const std::uint8_t* bytes) {
  const __m128i b = _mm_cvtsi32_si128(static_cast<int>(load_u32(bytes)));
  const __m128i nibbles = _mm_and_si128(_mm_unpacklo_epi8(b, _mm_srli_epi16(b, 4)), _mm_set1_epi8(15));
  const __m128i odd = _mm_or_si128(_mm_add_epi8(nibbles, nibbles), _mm_set1_epi8(1));
  return _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(odd, odd));
}
// The four bits at the top of eight doublewords likewise.
COTERIE_INLINE __m256i odd_top_scales(__m256i doublewords) {
  return twice_each(
      _mm256_or_si256(_mm256_slli_epi32(_mm256_srli_epi32(doublewords, 28), 1), _mm256_set1_epi32(1)));
}

// Bytes of seven signs: the eighth makes the number of signs even.
COTERIE_INLINE __m256i with_even_sign(__m256i bytes) {
  const __m256i odd = _mm256_broadcastsi128_si256(
      _mm_setr_epi8(0, -128, -128, 0, -128, 0, 0, -128, -128, 0, 0, -128, 0, -128, -128, 0));
  const __m256i halves =
      _mm256_and_si256(_mm256_xor_si256(bytes, _mm256_srli_epi16(bytes, 4)), _mm256_set1_epi8(15));
  return _mm256_or_si256(bytes, _mm256_shuffle_epi8(odd, halves));
}
// Doublewords of four times seven bits to bytes of signs.
COTERIE_INLINE __m256i even_signs4(__m256i bits) {
  const auto part = [](__m256i v, int mask) { return _mm256_and_si256(v, _mm256_set1_epi32(mask)); };
  const __m256i halves = _mm256_or_si256(part(bits, 0x3fff), _mm256_slli_epi32(part(bits, 0x0fffc000), 2));
  return with_even_sign(
      _mm256_or_si256(part(halves, 0x007f007f), _mm256_slli_epi32(part(halves, 0x3f803f80), 1)));
}

// 32 bytes of signs, eight of them for each quarter of a block.
template <class Isa, class Unpacked>
COTERIE_INLINE void set_signs(const void* bytes, Unpacked& u) {
  for (int c = 0; c < 4; ++c) {
    u.signs[c] = Wide<Isa>::signs(load_u64(static_cast<const char*>(bytes) + 8 * c));
  }
}
template <class Isa, class Unpacked>
COTERIE_INLINE void set_signs(__m256i bytes, Unpacked& u) {
  alignas(32) std::uint8_t stored[32];
  _mm256_store_si256(reinterpret_cast<__m256i*>(stored), bytes);
  asm("" : "+m"(stored));  // quadwords are loaded faster than extracted
  set_signs<Isa>(static_cast<const void*>(stored), u);
}

template <class Isa>
struct Unpack256<IQ4_XS, Isa> {
  using Unpacked = Unpacked256<Isa, std::uint16_t>;
  static constexpr Codes codes = Codes::signed_;
  COTERIE_INLINE static void run(const IQ4_XS::Block& b, Unpacked& u) {
    using W = Wide<Isa>;
    u.d = b.scale.bits;
    W::spread(twice_each(iq4_scales(b)), u.pair_scales);
    const __m128i levels = load16(iq4_levels);
    for (int c = 0; c < 4; ++c)
      u.q[c] = W::look_up(levels, W::and_(W::nibble_lanes(b.nibbles + 32 * c), W::bytes(15)));
  }
};

template <class Isa>
struct Unpack256<IQ2_XXS, Isa> {
  using Unpacked = Unpacked256<Isa, float>;
  static constexpr Codes codes = Codes::levels;
  COTERIE_INLINE static void run(const IQ2_XXS::Block& b, Unpacked& u) {
    using W = Wide<Isa>;
    u.d = _cvtsh_ss(b.scale.bits) * 0.125F;
    // Doublewords in pairs: four points, then signs and scale.
    const __m256 first = _mm256_castsi256_ps(Wide<Avx2>::load32(b.groups));
    const __m256 second = _mm256_castsi256_ps(Wide<Avx2>::load32(b.groups + 4));
    const __m256i points = in_order(_mm256_shuffle_ps(first, second, 0x88));
    const __m256i rest = in_order(_mm256_shuffle_ps(first, second, 0xdd));
    W::lay_out(odd_top_scales(rest), u.scales);
    set_signs<Isa>(even_signs4(rest), u);

    const typename W::V packed = W::look_up_words(iq2_xxs_grid, points);  // sixteen bits for eight levels
    u.q[0] = levels(W::template repeat_lane<0>(packed));
    u.q[1] = levels(W::template repeat_lane<1>(packed));
    u.q[2] = levels(W::template repeat_lane<2>(packed));
    u.q[3] = levels(W::template repeat_lane<3>(packed));
  }

 private:
  COTERIE_INLINE static __m256i in_order(__m256 shuffled) {
    return _mm256_permute4x64_epi64(_mm256_castps_si256(shuffled), 0xd8);
  }
  // Two bits each, four to a byte, to levels 8, 25, 43. Of four copies of the byte each keeps its own pair; a
  // pair stays where it was, at bit 0, 2, 4 or 6, and the upper two come down by four: nibbles c or 4 c,
  // which the table knows.
  COTERIE_INLINE static typename Wide<Isa>::V levels(typename Wide<Isa>::V packed) {
    using W = Wide<Isa>;
    const auto own = W::and_(W::each_byte_four_times(packed), W::doublewords(0xc0300c03U));
    const auto nibble = W::and_(W::or_(own, W::template shift_right<4>(own)), W::bytes(15));
    return W::look_up(_mm_setr_epi8(8, 25, 43, 0, 25, 0, 0, 0, 43, 0, 0, 0, 0, 0, 0, 0), nibble);
  }
};

// Magnitudes and signs, the points one by one.
template <class Isa>
struct Unpack256<IQ2_XS, Isa> {
  using Unpacked = Unpacked256<Isa, float>;
  static constexpr Codes codes = Codes::levels;
  COTERIE_INLINE static void run(const IQ2_XS::Block& b, Unpacked& u) {
    using W = Wide<Isa>;
    u.d = _cvtsh_ss(b.scale.bits) * 0.125F;
    W::lay_out(odd_scales16(b.scales), u.scales);
    const __m256i first = _mm256_srli_epi16(Wide<Avx2>::load32(b.points), 9);
    const __m256i second = _mm256_srli_epi16(Wide<Avx2>::load32(b.points + 16), 9);
    set_signs<Isa>(with_even_sign(_mm256_permute4x64_epi64(_mm256_packus_epi16(first, second), 0xd8)), u);
    for (int c = 0; c < 4; ++c)
      u.q[c] = W::eight([&](int k) { return iq2_xs_points.at[b.points[8 * c + k] & 511U]; });
  }
};

template <class Isa>
struct Unpack256<IQ2_S, Isa> {
  using Unpacked = Unpacked256<Isa, float>;
  static constexpr Codes codes = Codes::levels;
  COTERIE_INLINE static void run(const IQ2_S::Block& b, Unpacked& u) {
    using W = Wide<Isa>;
    u.d = _cvtsh_ss(b.scale.bits) * 0.125F;
    W::lay_out(odd_scales16(b.scales), u.scales);
    set_signs<Isa>(static_cast<const void*>(b.signs), u);
    alignas(32) std::uint16_t points[32];
    const __m128i high = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(b.points_high));
    indices(b.points_low, _mm_unpacklo_epi8(high, high), points);
    indices(b.points_low + 16, _mm_unpackhi_epi8(_mm_slli_si128(high, 4), _mm_slli_si128(high, 4)),
            points + 16);
    for (int c = 0; c < 4; ++c) u.q[c] = W::eight([&](int k) { return iq2_s_points.at[points[8 * c + k]]; });
  }

 private:
  // Sixteen points: eight bits each, and two from four bytes, each of these given twice.
  COTERIE_INLINE static void indices(const std::uint8_t* low, __m128i high, std::uint16_t* out) {
    const __m128i each =
        _mm_shuffle_epi8(high, _mm_setr_epi8(0, 0, 0, 0, 2, 2, 2, 2, 4, 4, 4, 4, 6, 6, 6, 6));
    const __m256i shifted = _mm256_mullo_epi16(
        _mm256_cvtepu8_epi16(each), _mm256_set1_epi64x(static_cast<long long>(0x0004001000400100ULL)));
    const __m256i upper = _mm256_and_si256(shifted, _mm256_set1_epi16(0x300));
    _mm256_store_si256(reinterpret_cast<__m256i*>(out),
                       _mm256_or_si256(_mm256_cvtepu8_epi16(load16(low)), upper));
  }
};

template <class Isa>
struct Unpack256<IQ3_XXS, Isa> {
  using Unpacked = Unpacked256<Isa, float>;
  static constexpr Codes codes = Codes::levels;
  COTERIE_INLINE static void run(const IQ3_XXS::Block& b, Unpacked& u) {
    using W = Wide<Isa>;
    u.d = _cvtsh_ss(b.scale.bits) * 0.25F;
    const __m256i rest = Wide<Avx2>::load32(b.signs_and_scales);
    W::lay_out(odd_top_scales(rest), u.scales);
    set_signs<Isa>(even_signs4(rest), u);
    for (int c = 0; c < 4; ++c)
      u.q[c] = W::sixteen([&](int k) { return iq3_xxs_points.at[b.points[16 * c + k]]; });
  }
};

template <class Isa>
struct Unpack256<IQ3_S, Isa> {
  using Unpacked = Unpacked256<Isa, std::uint16_t>;
  static constexpr Codes codes = Codes::levels;
  COTERIE_INLINE static void run(const IQ3_S::Block& b, Unpacked& u) {
    using W = Wide<Isa>;
    u.d = b.scale.bits;
    W::lay_out(odd_scales8(b.scales), u.scales);
    set_signs<Isa>(static_cast<const void*>(b.signs), u);
    alignas(32) std::uint16_t points[64];
    for (int i = 0; i < 4; ++i) indices(b.points_low + 16 * i, b.points_high + 2 * i, points + 16 * i);
    for (int c = 0; c < 4; ++c)
      u.q[c] = W::sixteen([&](int k) { return iq3_s_points.at[points[16 * c + k]]; });
  }

 private:
  COTERIE_INLINE static void indices(const std::uint8_t* low, const std::uint8_t* ninth, std::uint16_t* out) {
    const __m256i bit =
        _mm256_setr_epi16(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, -32768);
    const __m256i bits = _mm256_set1_epi16(static_cast<short>(ninth[0] | ninth[1] << 8));
    const __m256i set = _mm256_cmpeq_epi16(_mm256_and_si256(bits, bit), bit);
    _mm256_store_si256(
        reinterpret_cast<__m256i*>(out),
        _mm256_or_si256(_mm256_cvtepu8_epi16(load16(low)), _mm256_and_si256(set, _mm256_set1_epi16(256))));
  }
};

// 8 level +- 1, as 8 (level + 1) + (1 +- 1) less 9: eight bytes of the middle term.
COTERIE_INLINE std::uint64_t iq1_plus(bool minus) { return minus ? 0 : 0x0202020202020202U; }

template <class Isa>
struct Unpack256<IQ1_S, Isa> {
  using Unpacked = Unpacked256<Isa, float>;
  static constexpr Codes codes = Codes::offset;
  static constexpr int offset = 9;
  COTERIE_INLINE static void run(const IQ1_S::Block& b, Unpacked& u) {
    using W = Wide<Isa>;
    u.d = _cvtsh_ss(b.scale.bits) * 0.125F;
    const __m128i bits = load16(b.groups);
    const __m256i scales = twice_each(
        _mm_or_si128(_mm_and_si128(_mm_srli_epi16(bits, 11), _mm_set1_epi16(14)), _mm_set1_epi16(1)));
    W::lay_out(scales, u.scales);
    u.group_words = _mm256_mullo_epi16(scales, _mm256_set1_epi16(-offset));
    for (int c = 0; c < 4; ++c)
      u.q[c] = W::eight([&](int k) {
        const std::uint32_t group = b.groups[2 * c + k / 4];
        return iq1_points.at[b.points_low[8 * c + k] | (group << 8 >> (k % 4 * 3) & 0x700)] +
               iq1_plus(group >> 15 != 0);
      });
  }
};

template <class Isa>
struct Unpack256<IQ1_M, Isa> {
  using Unpacked = Unpacked256<Isa, float>;
  static constexpr Codes codes = Codes::offset;
  static constexpr int offset = 9;
  COTERIE_INLINE static void run(const IQ1_M::Block& b, Unpacked& u) {
    using W = Wide<Isa>;
    u.d = _cvtsh_ss(IQ1_M::scale_of(b).bits) * 0.125F;
    const __m256i scales = scale_words(b);
    W::lay_out(scales, u.scales);
    u.group_words = _mm256_mullo_epi16(scales, _mm256_set1_epi16(-offset));
    for (int c = 0; c < 4; ++c)
      u.q[c] = W::eight([&](int k) {
        const std::uint32_t bits = static_cast<std::uint32_t>(b.points_high[4 * c + k / 2]) >> (k % 2 * 4);
        return iq1_points.at[b.points_low[8 * c + k] | (bits & 7) << 8] + iq1_plus((bits & 8) != 0);
      });
  }

 private:
  // Four words of four times three bits: each is brought to the top of its word and down again.
  COTERIE_INLINE static __m256i scale_words(const IQ1_M::Block& b) {
    const __m128i four = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(b.scales));
    const __m128i low = _mm_shuffle_epi8(four, _mm_setr_epi8(0, 1, 0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3, 2, 3));
    const __m128i high =
        _mm_shuffle_epi8(four, _mm_setr_epi8(4, 5, 4, 5, 4, 5, 4, 5, 6, 7, 6, 7, 6, 7, 6, 7));
    const __m256i top = _mm256_mullo_epi16(_mm256_set_m128i(high, low),
                                           _mm256_set1_epi64x(static_cast<long long>(0x0010008004002000ULL)));
    return _mm256_or_si256(_mm256_slli_epi16(_mm256_srli_epi16(top, 13), 1), _mm256_set1_epi16(1));
  }
};

}  // namespace coterie
