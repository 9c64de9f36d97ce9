// IQ4_XS and IQ2_XXS, unpacked in registers; the bytes are drawn in formats/iq4_xs.h and formats/iq2_xxs.h.
#pragma once

#include "formats/iq2_xxs.h"
#include "formats/iq4_xs.h"
#include "kernels/x86/k_quants.h"

namespace coterie {

template <class Isa>
struct Unpack256<IQ4_XS, Isa> {
  using Unpacked = Unpacked256<Isa, std::uint16_t>;
  static constexpr Codes codes = Codes::signed_;
  COTERIE_INLINE static void run(const IQ4_XS::Block& b, Unpacked& u) {
    using W = Wide<Isa>;
    u.d = b.scale.bits;
    W::spread(scales(b), u.pair_scales);
    const __m128i levels = load16(iq4_levels);
    for (int c = 0; c < 4; ++c)
      u.q[c] = W::look_up(levels, W::and_(W::nibble_lanes(b.nibbles + 32 * c), W::bytes(15)));
  }

 private:
  // Group g: four bits at nibble g of scales_low, two at bits 2 g of scales_high, less 32. Eight doublewords,
  // then words.
  COTERIE_INLINE static __m256i scales(const IQ4_XS::Block& b) {
    const __m256i g = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i low = _mm256_set1_epi32(static_cast<int>(load4(b.scales_low)));
    const __m256i high = _mm256_set1_epi32(b.scales_high[0] | b.scales_high[1] << 8);
    const __m256i low4 =
        _mm256_and_si256(_mm256_srlv_epi32(low, _mm256_slli_epi32(g, 2)), _mm256_set1_epi32(15));
    const __m256i high2 =
        _mm256_and_si256(_mm256_srlv_epi32(high, _mm256_slli_epi32(g, 1)), _mm256_set1_epi32(3));
    const __m256i scale =
        _mm256_sub_epi32(_mm256_or_si256(low4, _mm256_slli_epi32(high2, 4)), _mm256_set1_epi32(32));
    return twice(scale);
  }

 public:
  // The lower word of each doubleword in both of its words.
  COTERIE_INLINE static __m256i twice(__m256i doublewords) {
    return _mm256_or_si256(_mm256_and_si256(doublewords, _mm256_set1_epi32(0xffff)),
                           _mm256_slli_epi32(doublewords, 16));
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
    W::lay_out(Unpack256<IQ4_XS, Isa>::twice(odd_scales(rest)), u.scales);
    alignas(32) std::uint64_t signs[4];
    _mm256_store_si256(reinterpret_cast<__m256i*>(signs), even_signs(rest));
    for (int c = 0; c < 4; ++c) u.signs[c] = W::signs(signs[c]);

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
  COTERIE_INLINE static __m256i odd_scales(__m256i rest) {
    return _mm256_or_si256(_mm256_slli_epi32(_mm256_srli_epi32(rest, 28), 1), _mm256_set1_epi32(1));
  }
  // Four times seven bits to four bytes, the top bit of each making the number of its signs even.
  COTERIE_INLINE static __m256i even_signs(__m256i bits) {
    const auto part = [](__m256i v, int mask) { return _mm256_and_si256(v, _mm256_set1_epi32(mask)); };
    const __m256i halves = _mm256_or_si256(part(bits, 0x3fff), _mm256_slli_epi32(part(bits, 0x0fffc000), 2));
    const __m256i bytes =
        _mm256_or_si256(part(halves, 0x007f007f), _mm256_slli_epi32(part(halves, 0x3f803f80), 1));
    __m256i parity = _mm256_xor_si256(bytes, _mm256_srli_epi32(bytes, 4));
    parity = _mm256_xor_si256(parity, _mm256_srli_epi32(parity, 2));
    parity = _mm256_xor_si256(parity, _mm256_srli_epi32(parity, 1));
    return _mm256_or_si256(bytes, _mm256_slli_epi32(part(parity, 0x01010101), 7));
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

}  // namespace coterie
