// TQ1_0 and TQ2_0, unpacked in registers; the bytes are drawn in formats/tq1_0.h and formats/tq2_0.h. One
// scale for all: the 16 integer scales are 1, the offset 1.
#pragma once

#include "formats/tq1_0.h"
#include "formats/tq2_0.h"
#include "kernels/x86/k_quants.h"

namespace coterie {

template <class Isa, class Unpacked>
COTERIE_INLINE void set_ternary_scale(Half scale, Unpacked& u) {
  u.d = scale.bits;
  Wide<Isa>::lay_out(_mm256_set1_epi16(1), u.scales);
  u.group_words = _mm256_set1_epi16(-1);
}

template <class Isa>
struct Unpack256<TQ2_0, Isa> {
  using Unpacked = Unpacked256<Isa, std::uint16_t>;
  static constexpr Codes codes = Codes::offset;
  static constexpr int offset = 1;
  COTERIE_INLINE static void run(const TQ2_0::Block& b, Unpacked& u) {
    set_ternary_scale<Isa>(b.scale, u);
    unpack_two_bits<Isa>(b.codes, u);
  }
};

template <class Isa>
struct Unpack256<TQ1_0, Isa> {
  using Unpacked = Unpacked256<Isa, std::uint16_t>;
  static constexpr Codes codes = Codes::offset;
  static constexpr int offset = 1;
  COTERIE_INLINE static void run(const TQ1_0::Block& b, Unpacked& u) {
    using W = Wide<Isa>;
    set_ternary_scale<Isa>(b.scale, u);
    // Every byte times 1, 3, 9 ..: its digits one after another.
    __m256i of_32[5] = {Wide<Avx2>::load32(b.digits)};
    for (int k = 1; k < 5; ++k) of_32[k] = times_3(of_32[k - 1]);
    __m128i of_16[5] = {load16(b.digits + 32)};
    for (int k = 1; k < 5; ++k) of_16[k] = times_3(of_16[k - 1]);
    __m128i of_4[4] = {_mm_cvtsi32_si128(static_cast<int>(load_u32(b.digits + 48)))};
    for (int k = 1; k < 4; ++k) of_4[k] = times_3(of_4[k - 1]);
    const __m128i last =
        _mm_unpacklo_epi64(_mm_unpacklo_epi32(of_4[0], of_4[1]), _mm_unpacklo_epi32(of_4[2], of_4[3]));
    u.q[0] = W::join(digits(of_32[0]), digits(of_32[1]));
    u.q[1] = W::join(digits(of_32[2]), digits(of_32[3]));
    u.q[2] = W::join(digits(of_32[4]), digits(_mm256_set_m128i(of_16[1], of_16[0])));
    u.q[3] = W::join(digits(_mm256_set_m128i(of_16[3], of_16[2])), digits(_mm256_set_m128i(last, of_16[4])));
  }

 private:
  COTERIE_INLINE static __m256i times_3(__m256i v) { return _mm256_add_epi8(v, _mm256_add_epi8(v, v)); }
  COTERIE_INLINE static __m128i times_3(__m128i v) { return _mm_add_epi8(v, _mm_add_epi8(v, v)); }
  // 3 v / 256: how many of 86 and 171 are not above v.
  COTERIE_INLINE static __m256i digits(__m256i v) {
    const auto reached = [v](int limit) {
      return _mm256_cmpeq_epi8(_mm256_max_epu8(v, _mm256_set1_epi8(static_cast<char>(limit))), v);
    };
    return _mm256_sub_epi8(_mm256_setzero_si256(), _mm256_add_epi8(reached(86), reached(171)));
  }
};

}  // namespace coterie
