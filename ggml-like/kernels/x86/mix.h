// Sums of cached rows with weights on x86: four positions' bytes of a column side by side, lane = column; a query's
// bytes are broadcast, four positions at a time.
#pragma once

#include "formats/bytes.h"
#include "kernels/each.h"
#include "kernels/mix.h"
#include "kernels/x86/quantize.h"

namespace coterie {

// What differs: floats and doublewords of a register, tokens whose sums fit the registers, bytes from 64 products.
template <class Isa>
struct MixOps;

template <>
struct MixOps<Avx2> {
  using V = __m256i;
  using F = __m256;
  static constexpr int floats = 8;
  static constexpr int tile = 2;
  COTERIE_INLINE static F load(const float* p) { return _mm256_loadu_ps(p); }
  COTERIE_INLINE static void store(float* p, F v) { _mm256_storeu_ps(p, v); }
  COTERIE_INLINE static F broadcast(float x) { return _mm256_set1_ps(x); }
  COTERIE_INLINE static F mul(F a, F b) { return _mm256_mul_ps(a, b); }
  COTERIE_INLINE static F fma(F a, V b, F c) { return _mm256_fmadd_ps(a, _mm256_cvtepi32_ps(b), c); }
  COTERIE_INLINE static V zero() { return _mm256_setzero_si256(); }
  COTERIE_INLINE static V load(const std::int8_t* p) { return Wide<Avx2>::load32(p); }
  COTERIE_INLINE static V broadcast4(const std::int8_t* p) {
    return _mm256_set1_epi32(static_cast<std::int32_t>(load_u32(p)));
  }
  // No sum of two products saturates: both factors are at most 127.
  COTERIE_INLINE static V dot(V acc, V weights, V codes) {
    return _mm256_add_epi32(acc, Wide<Avx2>::dot32(weights, codes));
  }
  COTERIE_INLINE static std::uint32_t largest(const F (&x)[8]) {
    V top = bits(x[0]);
    each<7>([&](auto i) __attribute__((always_inline)) { top = _mm256_max_epu32(top, bits(x[i + 1])); });
    __m128i four = _mm_max_epu32(_mm256_castsi256_si128(top), _mm256_extracti128_si256(top, 1));
    four = _mm_max_epu32(four, _mm_shuffle_epi32(four, 0x4e));
    four = _mm_max_epu32(four, _mm_shuffle_epi32(four, 0xb1));
    return static_cast<std::uint32_t>(_mm_cvtsi128_si32(four));
  }
  COTERIE_INLINE static void quantise(const F (&x)[8], float id, std::int8_t* u) {
    each<2>([&](auto k) __attribute__((always_inline)) {
      V v[4];
      each<4>([&](auto j) __attribute__((always_inline)) {
        v[j] = _mm256_cvtps_epi32(_mm256_mul_ps(x[4 * k + j], _mm256_set1_ps(id)));
      });
      _mm256_store_si256(reinterpret_cast<V*>(u) + k,
                         _mm256_packs_epi16(_mm256_packs_epi32(v[0], v[1]), _mm256_packs_epi32(v[2], v[3])));
    });
  }

 private:
  COTERIE_INLINE static V bits(F x) { return _mm256_castps_si256(x); }
};

template <class Isa>
requires requires { MixOps<Isa>::tile; }
struct Mix<Isa> {
  static void run(const MixArgs& a) {
    for (std::int64_t column = 0; column < a.n; column += Q8_0::block_size) {
      Panel p;
      fill(a, column, p);
      for (int t = 0; t < a.n_tokens; t += tile)
        with_constant<tile>(
            a.n_tokens - t < tile ? a.n_tokens - t : tile, [&](auto n) __attribute__((always_inline)) {
              tokens<n>(a, p, t, column);
            });
    }
  }

 private:
  using Ops = MixOps<Isa>;
  using V = typename Ops::V;
  using F = typename Ops::F;
  static constexpr int floats = Ops::floats;
  static constexpr int tile = Ops::tile;
  static constexpr int registers = Q8_0::block_size / floats;
  static constexpr int fours = mix_positions / 4;

  struct Panel {
    alignas(64) std::int8_t codes[fours][Q8_0::block_size * 4];  // [4 positions][column x 4]
    alignas(64) float scales[mix_positions];
  };

  // The first of the four positions whose bytes quantise() leaves in doubleword i: packing works within lanes.
  static constexpr int position_of(int i) {
    return i / floats * 4 * floats + i % 4 * floats + i % floats / 4 * 4;
  }

  COTERIE_INLINE static void fill(const MixArgs& a, std::int64_t column, Panel& p) {
    const std::byte* first = a.v + column / Q8_0::block_size * static_cast<std::int64_t>(sizeof(Q8_0::Block));
    // Positions behind the last: any bytes, their weight is 0.
    const auto block = [&](int position) {
      return reinterpret_cast<const Q8_0::Block*>(first +
                                                  (position < a.n_positions ? position : 0) * a.v_bytes);
    };
    alignas(64) std::uint16_t scales[mix_positions];
    for (int i = 0; i < mix_positions; ++i) scales[i] = block(i)->scale.bits;
    for (int i = 0; i < mix_positions; i += 8)
      _mm256_store_ps(p.scales + i,
                      _mm256_cvtph_ps(_mm_load_si128(reinterpret_cast<const __m128i*>(scales + i))));
    for (int i = 0; i < fours; ++i) {
      const int position = position_of(i);
      __m256i row[4];
      each<4>([&](auto r)
                  __attribute__((always_inline)) { row[r] = Wide<Avx2>::load32(block(position + r)->q); });
      const __m256i a_low = _mm256_unpacklo_epi8(row[0], row[1]);
      const __m256i a_high = _mm256_unpackhi_epi8(row[0], row[1]);
      const __m256i b_low = _mm256_unpacklo_epi8(row[2], row[3]);
      const __m256i b_high = _mm256_unpackhi_epi8(row[2], row[3]);
      const __m256i four[4] = {_mm256_unpacklo_epi16(a_low, b_low), _mm256_unpackhi_epi16(a_low, b_low),
                               _mm256_unpacklo_epi16(a_high, b_high), _mm256_unpackhi_epi16(a_high, b_high)};
      auto* to = reinterpret_cast<__m128i*>(p.codes[i]);
      each<4>([&](auto k) __attribute__((always_inline)) {
        _mm_store_si128(to + k, _mm256_castsi256_si128(four[k]));
        _mm_store_si128(to + 4 + k, _mm256_extracti128_si256(four[k], 1));
      });
    }
  }

  // The bytes of one query for these columns; returns their scale.
  COTERIE_INLINE static float weigh(const float* weights, const Panel& p, std::int8_t* u) {
    F product[mix_positions / floats];
    each<mix_positions / floats>([&](auto i) __attribute__((always_inline)) {
      product[i] = Ops::mul(Ops::load(weights + i * floats), Ops::load(p.scales + i * floats));
    });
    float id = 0;
    float scale = 0;
    if (scales_of(Ops::largest(product), id, scale))
      Ops::quantise(product, id, u);
    else
      __builtin_memset(u, 0, mix_positions);
    return scale;
  }

  template <int n_tokens>
  static void tokens(const MixArgs& a, const Panel& p, int first, std::int64_t column) {
    alignas(64) std::int8_t u[n_tokens][mix_positions];
    float scale[n_tokens];
    for (int t = 0; t < n_tokens; ++t)
      scale[t] = weigh(a.weights + (first + t) * std::int64_t{mix_positions}, p, u[t]);
    V sum[n_tokens][registers];
    each<n_tokens * registers>([&](auto i) __attribute__((always_inline)) {
      sum[i / registers][i % registers] = Ops::zero();
    });
    for (int i = 0; i < fours; ++i) {
      V codes[registers];
      each<registers>([&](auto r) __attribute__((always_inline)) {
        codes[r] = Ops::load(p.codes[i] + r * 4 * floats);
      });
      each<n_tokens>([&](auto t) __attribute__((always_inline)) {
        const V four = Ops::broadcast4(u[t] + 4 * i);
        each<registers>([&](auto r) __attribute__((always_inline)) {
          sum[t][r] = Ops::dot(sum[t][r], four, codes[r]);
        });
      });
    }
    each<n_tokens>([&](auto t) __attribute__((always_inline)) {
      float* y = a.y + (first + t) * a.y_stride + column;
      const F factor = Ops::broadcast(scale[t]);
      const F keep = Ops::broadcast(a.keep[first + t]);
      each<registers>([&](auto r) __attribute__((always_inline)) {
        Ops::store(y + r * floats, Ops::fma(factor, sum[t][r], Ops::mul(Ops::load(y + r * floats), keep)));
      });
    });
  }
};

}  // namespace coterie
