// Activations to bytes with AVX2, in the steps of formats/activation.h: the maximum of the bits of |x|, one
// division, and for each value one product, rounded to nearest even.
#pragma once

#include "kernels/quantize.h"
#include "kernels/x86/wide_avx2.h"

namespace coterie {

// The largest of the bits of |x| among n values, n a multiple of 8.
COTERIE_INLINE std::uint32_t largest_magnitude(const float* x, int n) {
  __m256i top = _mm256_setzero_si256();
  for (int i = 0; i < n; i += 8)
    top = _mm256_max_epu32(top, _mm256_and_si256(Wide<Avx2>::load32(x + i), _mm256_set1_epi32(0x7fffffff)));
  __m128i four = _mm_max_epu32(_mm256_castsi256_si128(top), _mm256_extracti128_si256(top, 1));
  four = _mm_max_epu32(four, _mm_shuffle_epi32(four, 0x4e));
  four = _mm_max_epu32(four, _mm_shuffle_epi32(four, 0xb1));
  return static_cast<std::uint32_t>(_mm_cvtsi128_si32(four));
}

COTERIE_INLINE __m256i rounded(const float* x, __m256 id) {
  return _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x), id));
}

// 32 bytes rint(x * id).
COTERIE_INLINE __m256i quantised(const float* x, __m256 id) {
  const __m256i a = _mm256_packs_epi32(rounded(x, id), rounded(x + 8, id));
  const __m256i b = _mm256_packs_epi32(rounded(x + 16, id), rounded(x + 24, id));
  const __m256i mixed = _mm256_packs_epi16(a, b);  // fours in the order 0 2 4 6 1 3 5 7
  return _mm256_permutevar8x32_epi32(mixed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

// Doublewords: the sums of four bytes each.
COTERIE_INLINE __m256i sums_of_four(__m256i q) {
  return _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), q), _mm256_set1_epi16(1));
}

// 127 / absmax and the scale, or false where the block is zero (or no number) and only the scale tells which.
COTERIE_INLINE bool scales_of(std::uint32_t top, float& id, float& scale) {
  id = 127.0F / float_of(top);
  const bool finite = top < 0x7f800000U;
  const bool usable = finite && bits_of(id) < 0x7f800000U;
  scale = usable ? float_of(top) / 127.0F : finite ? 0.0F : float_of(0x7fc00000U);
  return usable;
}

template <class Isa>
requires requires { typename Wide<Isa>::V; }
struct Quantize<Act256, Isa> {
  static void run(const float* x, std::int64_t n, std::byte* out) {
    auto* a = reinterpret_cast<Act256*>(out);
    for (std::int64_t i = 0; i < n; i += 256, ++a) block(x + i, *a);
  }

 private:
  COTERIE_INLINE static void block(const float* x, Act256& a) {
    float id = 0;
    if (!scales_of(largest_magnitude(x, 256), id, a.scale)) {
      __builtin_memset(a.q, 0, sizeof a.q);
      __builtin_memset(a.group_sums, 0, sizeof a.group_sums);
      return;
    }
    __m256i fours[8];
    for (int i = 0; i < 8; ++i) {
      const __m256i q = quantised(x + 32 * i, _mm256_set1_ps(id));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(a.q + 32 * i), q);
      fours[i] = sums_of_four(q);
    }
    // Lower lane: groups 0, 2, 4 ..; upper lane: groups 1, 3, 5 ..
    const __m256i first =
        _mm256_hadd_epi32(_mm256_hadd_epi32(fours[0], fours[1]), _mm256_hadd_epi32(fours[2], fours[3]));
    const __m256i last =
        _mm256_hadd_epi32(_mm256_hadd_epi32(fours[4], fours[5]), _mm256_hadd_epi32(fours[6], fours[7]));
    const __m256i words = _mm256_packs_epi32(first, last);
    const __m128i even = _mm256_castsi256_si128(words);
    const __m128i odd = _mm256_extracti128_si256(words, 1);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(a.group_sums), _mm_unpacklo_epi16(even, odd));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(a.group_sums + 8), _mm_unpackhi_epi16(even, odd));
  }
};

template <class Isa>
requires requires { typename Wide<Isa>::V; }
struct Quantize<Act32, Isa> {
  static void run(const float* x, std::int64_t n, std::byte* out) {
    auto* a = reinterpret_cast<Act32*>(out);
    for (std::int64_t i = 0; i < n; i += 32, ++a) block(x + i, *a);
  }

 private:
  COTERIE_INLINE static void block(const float* x, Act32& a) {
    float id = 0;
    __m256i q = _mm256_setzero_si256();
    if (scales_of(largest_magnitude(x, 32), id, a.scale)) q = quantised(x, _mm256_set1_ps(id));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(a.q), q);
    const __m256i fours = sums_of_four(q);
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(fours), _mm256_extracti128_si256(fours, 1));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
    a.sum = _mm_cvtsi128_si32(sum);
  }
};

}  // namespace coterie
