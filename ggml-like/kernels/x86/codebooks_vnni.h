// What VNNI does better with codebooks than iq_quants.h.
#pragma once

#include "kernels/x86/iq_quants.h"
#include "kernels/x86/wide_avx512vnni.h"

namespace coterie {

// With VNNI: levels + 128 are unsigned, and their products with doublewords of scales cost less than signs that change
// sides (32 cycles a block, 28 so).
template <VnniIsa Isa>
struct Unpack256<IQ4_XS, Isa> {
  using Unpacked = Unpacked256<Isa, std::uint16_t>;
  static constexpr Codes codes = Codes::byte_offset;
  COTERIE_INLINE static void run(const IQ4_XS::Block& b, Unpacked& u) {
    using W = Wide<Isa>;
    u.d = b.scale.bits;
    const __m256i scales = iq4_scales(b);
    u.group_words = _mm256_slli_epi16(_mm256_sub_epi16(_mm256_setzero_si256(), twice_each(scales)), 7);
    W::spread_doublewords(scales, u.pair_scales);
    const __m128i levels = _mm_xor_si128(load16(iq4_levels), _mm_set1_epi8(-128));
    for (int c = 0; c < 4; ++c)
      u.q[c] = W::look_up(levels, W::and_(W::nibble_lanes(b.nibbles + 32 * c), W::bytes(15)));
  }
};

}  // namespace coterie
