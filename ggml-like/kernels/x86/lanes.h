// Codebook formats for one input with VNNI: a stream of rows (stream.h) whose codes are laid out by groups. In
// each of a block's four registers, lane g of eight quadwords belongs to the same group of 32 columns, so that
// the sums of all four meet their scales once:
//
//   isum = sum over lanes of scale[lane] * (start[lane] + sum over the four registers of q x)
//
// Codes are unsigned, the offset more than what they stand for; start takes that off. The input is laid out to
// match, once for all rows. Where 16 columns have a scale, the first two registers are theirs and the others
// the next sixteen's.
//
// IQ4_XS, Sapphire Rapids, one thread, rows in the second-level cache: 1.48 times as fast as scales for each
// register.
#pragma once

#include "formats/iq4_xs.h"
#include "kernels/each.h"
#include "kernels/x86/stream.h"
#include "kernels/x86/wide_avx512vnni.h"

namespace coterie {

// Which columns 32 g + i of group g are byte 0 to 7 of its quadword in register k:
//   points        i = 8 k + byte
//   mixed_points  the same; groups in the order 0, 4, 1, 5, 2, 6, 3, 7, as unpacking two registers leaves them
//   weights       i = 4 byte + k
enum class LaneOrder { points, mixed_points, weights };

template <LaneOrder order, int offset, int n_scales>
struct LaneInput {
  static constexpr int blocks = piece_values / 256;
  static constexpr int group = 4;
  alignas(64) std::int8_t q[blocks * 256];
  alignas(64) std::int32_t start[blocks * 16 * n_scales];
  float scale[blocks];

  COTERIE_INLINE void set(int b, const Act256& x) {
    std::int8_t* const to = q + 256 * b;
    if constexpr (order == LaneOrder::weights)
      each<4>([&](auto k) __attribute__((always_inline)) {
        for (int i = 0; i < 4; ++i)
          _mm_store_si128(reinterpret_cast<__m128i*>(to + 64 * k + 16 * i),
                          _mm512_cvtepi32_epi8(_mm512_srli_epi32(_mm512_loadu_si512(x.q + 64 * i), 8 * k)));
      });
    else
      for (int g = 0; g < 8; ++g) {
        const int lane = order == LaneOrder::mixed_points ? g % 4 * 2 + g / 4 : g;
        for (int k = 0; k < 4; ++k) __builtin_memcpy(to + 64 * k + 8 * lane, x.q + 32 * g + 8 * k, 8);
      }
    for (int s = 0; s < n_scales; ++s) {
      __m512i sum = _mm512_setzero_si512();
      for (int k = 4 * s / n_scales; k < 4 * (s + 1) / n_scales; ++k)
        sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(1), _mm512_load_si512(to + 64 * k));
      _mm512_store_si512(start + 16 * (n_scales * b + s),
                         _mm512_mullo_epi32(sum, _mm512_set1_epi32(-offset)));
    }
    scale[b] = x.scale;
  }
};

// StreamOps but for unpack(). ScaleType: half's bits or float.
template <class ScaleType, LaneOrder order, int offset, int n_scales = 1>
struct LaneOps {
  using Input = LaneInput<order, offset, n_scales>;
  using Products = __m512i;
  static constexpr int sum_offset = 0;

  struct Unpacked {
    __m512i q[4];
    __m512i scales[n_scales];  // doublewords, the same for both of a quadword
    ScaleType d;
  };

  COTERIE_INLINE static __m512i products(const Unpacked& u, const Input& x, int b) {
    __m512i total = _mm512_setzero_si512();
    for (int s = 0; s < n_scales; ++s) {
      __m512i sum = _mm512_load_si512(x.start + 16 * (n_scales * b + s));
      for (int k = 4 * s / n_scales; k < 4 * (s + 1) / n_scales; ++k)
        sum = _mm512_dpbusd_epi32(sum, u.q[k], _mm512_load_si512(x.q + 256 * b + 64 * k));
      total = _mm512_add_epi32(total, _mm512_mullo_epi32(sum, u.scales[s]));
    }
    return total;
  }
};

// Bits of a where mask has ones, of b elsewhere.
COTERIE_INLINE __m512i choose(__m512i mask, __m512i a, __m512i b) {
  return _mm512_ternarylogic_epi32(mask, a, b, 0xca);
}

template <VnniIsa Isa>
struct StreamOps<IQ4_XS, Isa> : LaneOps<std::uint16_t, LaneOrder::mixed_points, 128> {
  COTERIE_INLINE static void unpack(const IQ4_XS::Block& b, Unpacked& u) {
    using W = Wide<Isa>;
    u.d = b.scale.bits;
    // Four bits of group g from bit 4 g of one doubleword, two from bit 2 g of the upper half of the block's first,
    // brought to bits 4 and 5.
    const __m512i low =
        _mm512_srlv_epi32(W::doublewords(load_u32(b.scales_low)),
                          _mm512_setr_epi32(0, 0, 16, 16, 4, 4, 20, 20, 8, 8, 24, 24, 12, 12, 28, 28));
    const __m512i high =
        _mm512_srlv_epi32(W::doublewords(load_u32(&b)),
                          _mm512_setr_epi32(12, 12, 20, 20, 14, 14, 22, 22, 16, 16, 24, 24, 18, 18, 26, 26));
    const __m512i six_bits = W::and_(choose(W::doublewords(15), low, high), W::doublewords(63));
    u.scales[0] = _mm512_sub_epi32(six_bits, W::doublewords(32));

    const __m512i first = W::load(b.nibbles);
    const __m512i second = W::load(b.nibbles + 64);
    const __m512i halves[2] = {_mm512_unpacklo_epi64(first, second), _mm512_unpackhi_epi64(first, second)};
    const __m128i levels = _mm_xor_si128(load16(iq4_levels), _mm_set1_epi8(-128));
    for (int h = 0; h < 2; ++h) {
      u.q[h] = W::look_up(levels, W::and_(halves[h], W::bytes(15)));
      u.q[h + 2] = W::look_up(levels, W::and_(W::template shift_right<4>(halves[h]), W::bytes(15)));
    }
  }
};

}  // namespace coterie
