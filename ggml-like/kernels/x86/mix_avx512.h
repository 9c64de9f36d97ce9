// Sums of cached rows with weights: the registers of AVX-512.
#pragma once

#include "kernels/x86/mix.h"

namespace coterie {

template <>
struct MixOps<Avx512> {
  using V = __m512i;
  using F = __m512;
  static constexpr int floats = 16;
  static constexpr int tile = 8;
  COTERIE_INLINE static F load(const float* p) { return _mm512_loadu_ps(p); }
  COTERIE_INLINE static void store(float* p, F v) { _mm512_storeu_ps(p, v); }
  COTERIE_INLINE static F broadcast(float x) { return _mm512_set1_ps(x); }
  COTERIE_INLINE static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  COTERIE_INLINE static F fma(F a, V b, F c) { return _mm512_fmadd_ps(a, _mm512_cvtepi32_ps(b), c); }
  COTERIE_INLINE static V zero() { return _mm512_setzero_si512(); }
  COTERIE_INLINE static V load(const std::int8_t* p) { return _mm512_load_si512(p); }
  COTERIE_INLINE static V broadcast4(const std::int8_t* p) {
    return _mm512_set1_epi32(static_cast<std::int32_t>(load_u32(p)));
  }
  COTERIE_INLINE static V dot(V acc, V weights, V codes) {
    const V words = _mm512_maddubs_epi16(weights, codes);
    return _mm512_add_epi32(acc, _mm512_madd_epi16(words, _mm512_set1_epi16(1)));
  }
  COTERIE_INLINE static std::uint32_t largest(const F (&x)[4]) {
    const V two = _mm512_max_epu32(bits(x[0]), bits(x[1]));
    const V top = _mm512_max_epu32(two, _mm512_max_epu32(bits(x[2]), bits(x[3])));
    const __m256i eight = _mm256_max_epu32(_mm512_castsi512_si256(top), _mm512_extracti64x4_epi64(top, 1));
    __m128i four = _mm_max_epu32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    four = _mm_max_epu32(four, _mm_shuffle_epi32(four, 0x4e));
    four = _mm_max_epu32(four, _mm_shuffle_epi32(four, 0xb1));
    return static_cast<std::uint32_t>(_mm_cvtsi128_si32(four));
  }
  COTERIE_INLINE static void quantise(const F (&x)[4], float id, std::int8_t* u) {
    V v[4];
    each<4>([&](auto j) __attribute__((always_inline)) {
      v[j] = _mm512_cvtps_epi32(_mm512_mul_ps(x[j], _mm512_set1_ps(id)));
    });
    _mm512_store_si512(u, _mm512_packs_epi16(_mm512_packs_epi32(v[0], v[1]), _mm512_packs_epi32(v[2], v[3])));
  }

 private:
  COTERIE_INLINE static V bits(F x) { return _mm512_castps_si512(x); }
};

}  // namespace coterie
