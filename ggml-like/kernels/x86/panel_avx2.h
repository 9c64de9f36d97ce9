// Panels for AVX2: vpmaddubsw multiplies four columns of eight rows (lane = row, unsigned codes) with four activations that are
// broadcast from memory, to two words a row. Words are added up as long as they hold the sums, then meet the scales:
//
//   isum = sum over g of scale[g] * (sum over group g of code * x) + sum over g of -offset * scale[g] * group_sum[g]
//   msum = sum over g of min[g] * group_sum[g], two groups to an instruction
//
// For superblocks whose codes are small and unsigned: the K formats and the ternary ones.
#pragma once

#include "kernels/x86/k_quants.h"
#include "kernels/x86/panel.h"
#include "kernels/x86/ternary.h"

namespace coterie {

// Steps of four columns after which words still hold the sums, for codes up to 64: 2 * 64 * 127 a step; or up to 31.
template <class F>
constexpr int products_to_a_word = 2;
template <>
constexpr int products_to_a_word<Q2_K> = 4;
template <>
constexpr int products_to_a_word<Q3_K> = 4;
template <>
constexpr int products_to_a_word<Q4_K> = 4;
template <>
constexpr int products_to_a_word<Q5_K> = 4;

struct alignas(32) WordPanel {
  std::uint8_t codes[2][64][32];       // [eight rows][4 columns][row x 4]
  std::int16_t scales[2][16][16];      // [eight rows][group][row x 2, the same]
  std::int16_t group_words[2][8][16];  // [eight rows][two groups][row x 2]: minima; or scale * -offset
  float d[2][8], m[2][8];
};

template <class F>
concept SmallCodes = std::is_same_v<typename F::Integers, Integers256> &&
    (Unpack256<F, Avx2>::codes == Codes::plain || Unpack256<F, Avx2>::codes == Codes::offset);

template <SmallCodes F>
struct PanelOps<F, Avx2> {
  static constexpr int tile = 6;
  using Panel = WordPanel;
  struct Input {
    alignas(32) Act256 x;
  };
  COTERIE_INLINE static void begin(int) {}
  COTERIE_INLINE static void end() {}

  COTERIE_INLINE static void gather(const Act256* x, int, Input& in) { in.x = *x; }

  __attribute__((noinline)) static void fill(const std::byte* const (&row)[panel_lanes], int, WordPanel& p) {
    for (int half = 0; half < 2; ++half) {
      typename Row::Unpacked u[8];  // read where they were unpacked: a copy took as long as all the rest
      each<8>([&](auto r) __attribute__((always_inline)) {
        unpack(row[8 * half + r], u[r]);
        p.d[half][r] = as_float(u[r].d);
        if constexpr (F::has_mins) p.m[half][r] = as_float(u[r].m);
      });
      for (int i = 0; i < 8; ++i) turn(bytes_of(u[0].q) + 32 * i, p.codes[half] + 8 * i);
      for (int i = 0; i < 8; ++i)  // each fills a lane: Wide<Avx2>::lay_out
        turn_two<0>(bytes_of(u[0].scales) + 32 * i, p.scales[half][2 * i], p.scales[half][2 * i + 1]);
      if constexpr (has_words) turn(bytes_of(u[0].group_words), p.group_words[half]);
    }
  }

  COTERIE_INLINE static void multiply(const WordPanel& p, const Input* in, int n_tokens, int,
                                      float (*y)[panel_lanes]) {
    with_constant<tile>(
        n_tokens, [&](auto n) __attribute__((always_inline)) {
          eight_rows<n>(p, in, 0, y);
          eight_rows<n>(p, in, 1, y);
        });
  }

 private:
  using Row = Unpack256<F, Avx2>;
  static constexpr int unpacked_bytes = sizeof(typename Row::Unpacked);
  static constexpr bool has_words = F::has_mins || Row::codes == Codes::offset;

  COTERIE_INLINE static __m256i load(const void* p) { return Wide<Avx2>::load32(p); }
  COTERIE_INLINE static __m256i broadcast4(const void* p) {
    return _mm256_set1_epi32(static_cast<std::int32_t>(load_u32(p)));
  }
  COTERIE_INLINE static float as_float(float f) { return f; }
  COTERIE_INLINE static float as_float(std::uint16_t half) { return _cvtsh_ss(half); }

  __attribute__((noinline)) static void unpack(const std::byte* block, typename Row::Unpacked& u) {
    Row::run(*reinterpret_cast<const typename F::Block*>(block), u);
  }
  template <class T>
  COTERIE_INLINE static const std::byte* bytes_of(const T& v) {
    return reinterpret_cast<const std::byte*>(&v);
  }

  // Of the unpacked blocks of four rows: in each lane of result i the doublewords that stand at i.
  template <int i>
  COTERIE_INLINE static __m256i doublewords(const std::byte* row) {
    const auto v = [&](int r) __attribute__((always_inline)) { return load(row + r * unpacked_bytes); };
    const auto join = [](__m256i a, __m256i b) __attribute__((always_inline)) {
      return i % 2 == 0 ? _mm256_unpacklo_epi64(a, b) : _mm256_unpackhi_epi64(a, b);
    };
    if constexpr (i < 2)
      return join(_mm256_unpacklo_epi32(v(0), v(1)), _mm256_unpacklo_epi32(v(2), v(3)));
    else
      return join(_mm256_unpackhi_epi32(v(0), v(1)), _mm256_unpackhi_epi32(v(2), v(3)));
  }
  // The doublewords at i and i + 4 of eight rows.
  template <int i, class Out>
  COTERIE_INLINE static void turn_two(const std::byte* row, Out& low, Out& high) {
    const __m256i a = doublewords<i>(row);
    const __m256i b = doublewords<i>(row + 4 * unpacked_bytes);
    _mm256_store_si256(reinterpret_cast<__m256i*>(low), _mm256_permute2x128_si256(a, b, 0x20));
    _mm256_store_si256(reinterpret_cast<__m256i*>(high), _mm256_permute2x128_si256(a, b, 0x31));
  }
  // 32 bytes of eight rows: out[i], lane r: bytes 4 i .. 4 i + 3 of row r.
  template <class Out>
  COTERIE_INLINE static void turn(const std::byte* row, Out* out) {
    each<4>([&](auto i) __attribute__((always_inline)) { turn_two<i>(row, out[i], out[i + 4]); });
  }

  template <int n_tokens>
  static void eight_rows(const WordPanel& p, const Input* in, int half, float (*y)[panel_lanes]) {
    constexpr int steps = products_to_a_word<F>;
    __m256i isum[n_tokens];
    if constexpr (Row::codes == Codes::offset)
      group_products<n_tokens>(p, in, half, isum);
    else
      each<n_tokens>([&](auto t) __attribute__((always_inline)) { isum[t] = _mm256_setzero_si256(); });
    for (int at = 0; at < 64; at += steps) {
      __m256i words[n_tokens];
      each<steps>([&](auto k) __attribute__((always_inline)) {
        const __m256i codes = load(p.codes[half][at + k]);
        each<n_tokens>([&](auto t) __attribute__((always_inline)) {
          const __m256i product = _mm256_maddubs_epi16(codes, broadcast4(in[t].x.q + 4 * (at + k)));
          words[t] = k == 0 ? product : _mm256_add_epi16(words[t], product);
        });
      });
      const __m256i scale = load(p.scales[half][at / 4]);
      each<n_tokens>([&](auto t) __attribute__((always_inline)) {
        isum[t] = _mm256_add_epi32(isum[t], _mm256_madd_epi16(words[t], scale));
      });
    }
    finish<n_tokens>(p, in, half, isum, y);
  }

  template <int n_tokens>
  COTERIE_INLINE static void group_products(const WordPanel& p, const Input* in, int half,
                                            __m256i (&sum)[n_tokens]) {
    each<n_tokens>([&](auto t) __attribute__((always_inline)) { sum[t] = _mm256_setzero_si256(); });
    each<8>([&](auto i) __attribute__((always_inline)) {
      const __m256i words = load(p.group_words[half][i]);
      each<n_tokens>([&](auto t) __attribute__((always_inline)) {
        sum[t] = _mm256_add_epi32(sum[t], _mm256_madd_epi16(words, broadcast4(in[t].x.group_sums + 2 * i)));
      });
    });
  }

  template <int n_tokens>
  COTERIE_INLINE static void finish(const WordPanel& p, const Input* in, int half,
                                    const __m256i (&isum)[n_tokens], float (*y)[panel_lanes]) {
    __m256 acc[n_tokens];
    const __m256 d = _mm256_load_ps(p.d[half]);
    each<n_tokens>([&](auto t) __attribute__((always_inline)) {
      const __m256 scale = _mm256_mul_ps(d, _mm256_set1_ps(in[t].x.scale));
      acc[t] = _mm256_fmadd_ps(scale, _mm256_cvtepi32_ps(isum[t]), _mm256_load_ps(y[t] + 8 * half));
    });
    if constexpr (F::has_mins) {
      __m256i msum[n_tokens];
      group_products<n_tokens>(p, in, half, msum);
      const __m256 m = _mm256_load_ps(p.m[half]);
      each<n_tokens>([&](auto t) __attribute__((always_inline)) {
        const __m256 scale = _mm256_mul_ps(m, _mm256_set1_ps(in[t].x.scale));
        acc[t] = _mm256_fnmadd_ps(scale, _mm256_cvtepi32_ps(msum[t]), acc[t]);
      });
    }
    each<n_tokens>([&](auto t) __attribute__((always_inline)) { _mm256_store_ps(y[t] + 8 * half, acc[t]); });
  }
};

}  // namespace coterie
