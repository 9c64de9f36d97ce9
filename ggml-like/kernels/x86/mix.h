// Sums of cached rows with weights on x86: four positions' bytes of a column side by side, lane = column; a query's
// bytes are broadcast, four positions at a time.
#pragma once

#include "formats/bytes.h"
#include "kernels/each.h"
#include "kernels/mix.h"
#include "kernels/x86/quantize.h"

namespace coterie {

// acc plus four products of bytes in each doubleword; both factors are at most 127, so that no sum of two saturates.
template <class Isa>
struct MixDot;

template <>
struct MixDot<Avx2> {
  COTERIE_INLINE static __m256i run(__m256i acc, __m256i weights, __m256i codes) {
    return _mm256_add_epi32(acc, Wide<Avx2>::dot32(weights, codes));
  }
};

template <class Isa>
requires requires { MixDot<Isa>::run; }
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
  using Floats = typename Isa::Batch;
  using Ints = typename Isa::Ints;
  static constexpr int floats = static_cast<int>(Floats::size);
  static constexpr int tile = floats >= 16 ? 8 : 2;  // tokens whose sums fit the registers
  static constexpr int registers = Q8_0::block_size / floats;
  static constexpr int fours = mix_positions / 4;

  struct Panel {
    alignas(
        64) std::int32_t codes[fours][Q8_0::block_size];  // [4 positions][column], a byte for each position
    alignas(64) float scales[mix_positions];
  };

  COTERIE_INLINE static void fill(const MixArgs& a, std::int64_t column, Panel& p) {
    const std::byte* first = a.v + column / Q8_0::block_size * static_cast<std::int64_t>(sizeof(Q8_0::Block));
    // Positions behind the last: any bytes, their weight is 0.
    const auto block = [&](int position) {
      return reinterpret_cast<const Q8_0::Block*>(first +
                                                  (position < a.n_positions ? position : 0) * a.v_bytes);
    };
    alignas(64) std::uint16_t scales[mix_positions];
    for (int i = 0; i < mix_positions; ++i) scales[i] = block(i)->scale.bits;
    for (int i = 0; i < mix_positions; i += floats) Isa::load_half(scales + i).store_aligned(p.scales + i);
    for (int i = 0; i < fours; ++i) {
      __m256i row[4];
      each<4>([&](auto r)
                  __attribute__((always_inline)) { row[r] = Wide<Avx2>::load32(block(4 * i + r)->q); });
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
    alignas(64) float products[mix_positions];
    each<mix_positions / floats>([&](auto i) __attribute__((always_inline)) {
      const Floats scales = Floats::load_aligned(p.scales + i * floats);
      (Floats::load_unaligned(weights + i * floats) * scales).store_aligned(products + i * floats);
    });
    float id = 0;
    float scale = 0;
    const bool usable = scales_of(largest_magnitude(products, mix_positions), id, scale);
    for (int i = 0; i < mix_positions; i += 32)
      _mm256_store_si256(reinterpret_cast<__m256i*>(u + i),
                         usable ? quantised(products + i, _mm256_set1_ps(id)) : _mm256_setzero_si256());
    return scale;
  }

  template <int n_tokens>
  static void tokens(const MixArgs& a, const Panel& p, int first, std::int64_t column) {
    alignas(64) std::int8_t u[n_tokens][mix_positions];
    float scale[n_tokens];
    for (int t = 0; t < n_tokens; ++t)
      scale[t] = weigh(a.weights + (first + t) * std::int64_t{mix_positions}, p, u[t]);
    Ints sum[n_tokens][registers];
    each<n_tokens * registers>([&](auto i) __attribute__((always_inline)) {
      sum[i / registers][i % registers] = Ints(0);
    });
    for (int i = 0; i < fours; ++i) {
      Ints codes[registers];
      each<registers>([&](auto r) __attribute__((always_inline)) {
        codes[r] = Ints::load_aligned(p.codes[i] + r * floats);
      });
      each<n_tokens>([&](auto t) __attribute__((always_inline)) {
        const Ints four(static_cast<std::int32_t>(load_u32(u[t] + 4 * i)));
        each<registers>([&](auto r) __attribute__((always_inline)) {
          sum[t][r] = MixDot<Isa>::run(sum[t][r], four, codes[r]);
        });
      });
    }
    each<n_tokens>([&](auto t) __attribute__((always_inline)) {
      float* y = a.y + (first + t) * a.y_stride + column;
      const Floats factor(scale[t]);
      const Floats keep(a.keep[first + t]);
      each<registers>([&](auto r) __attribute__((always_inline)) {
        const Floats kept = Floats::load_unaligned(y + r * floats) * keep;
        Isa::fma(factor, xsimd::to_float(sum[t][r]), kept).store_unaligned(y + r * floats);
      });
    });
  }
};

}  // namespace coterie
