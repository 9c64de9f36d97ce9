// Panels of bytes for AVX-512 with VNNI: vpdpbusd multiplies four columns of sixteen rows (lane = row,
// unsigned codes) with four activations that are broadcast from memory (signed).
//
//   superblocks   isum = sum over g of scale[g] * (start[g] + sum over group g of code * x)
//                 msum = sum over g of min[g] * group_sum[g], two groups to an instruction (vpdpwssd)
//   32-blocks     isum = start + sum of code * x
//
// Codes are made unsigned by an offset; start is -offset times the sum of x, where a zero would stand
// otherwise. Every sum is an exact int32.
#pragma once

#include "kernels/x86/panel.h"
#include "kernels/x86/small_blocks.h"
#include "kernels/x86/wide_avx512vnni.h"

namespace coterie {

struct alignas(64) BytePanel {
  std::uint8_t codes[64][64];   // [4 columns][16 rows x 4]
  std::int32_t scales[16][16];  // [group][row]
  std::int16_t mins[8][32];     // [two groups][row x 2]
  float d[8][16], m[8][16];     // [32-block, or 0][row]
};

// 256 activations of one token.
struct alignas(64) ByteInput {
  std::int8_t q[256];
  std::int32_t start[16];  // by group, or by 32-block
  float scales[8];         // by 32-block, or [0]
  union {
    std::int16_t group_sums[16];
    float sums[8];  // by 32-block
  };
};

COTERIE_INLINE __m512i broadcast4(const void* p) {
  return _mm512_set1_epi32(static_cast<std::int32_t>(load_u32(p)));
}

struct BytePanelOps {
  static constexpr int tile = 8;
  using Panel = BytePanel;
  using Input = ByteInput;
  COTERIE_INLINE static void begin(int) {}
  COTERIE_INLINE static void end() {}
};

// What the blocks of a format are, seen by the products. group: columns that share an integer scale; offset:
// what codes hold too much.
template <class Isa, int group_columns, int code_offset, bool with_mins>
struct SuperblockPanel : BytePanelOps {
  static constexpr int offset = code_offset;
  static constexpr int group = group_columns;
  static constexpr int n_groups = 256 / group;
  static constexpr int min_groups = group == 32 ? 8 : 16;
  static constexpr bool has_mins = with_mins;

  COTERIE_INLINE static void gather(const Act256* x, int, ByteInput& in) {
    for (int i = 0; i < 4; ++i) _mm512_store_si512(in.q + 64 * i, _mm512_loadu_si512(x->q + 64 * i));
    in.scales[0] = x->scale;
    const __m256i sums = Wide<Avx2>::load32(x->group_sums);
    const __m512i wide = _mm512_cvtepi16_epi32(sums);
    if constexpr (group == 32) {
      const __m512i pairs = _mm512_madd_epi16(_mm512_castsi256_si512(sums), _mm512_set1_epi16(1));
      const __m256i sums32 = _mm512_castsi512_si256(pairs);
      _mm_store_si128(reinterpret_cast<__m128i*>(in.group_sums), _mm256_cvtepi32_epi16(sums32));
      store_start(_mm512_castsi256_si512(sums32), in);
    } else {
      _mm256_store_si256(reinterpret_cast<__m256i*>(in.group_sums), sums);
      if constexpr (group == 256)
        in.start[0] = -code_offset * _mm512_reduce_add_epi32(wide);
      else
        store_start(wide, in);
    }
  }

  COTERIE_INLINE static void multiply(const BytePanel& p, const ByteInput* in, int n_tokens, int,
                                      float (*y)[panel_lanes]) {
    with_constant<tile>(
        n_tokens, [&](auto n) __attribute__((always_inline)) { multiply<n>(p, in, y); });
  }

  // The step of y, from the exact sums of these columns.
  template <int n_tokens>
  COTERIE_INLINE static void finish(const BytePanel& p, const ByteInput* in, const __m512i (&isum)[n_tokens],
                                    float (*y)[panel_lanes]) {
    __m512i msum[n_tokens];
    if constexpr (has_mins) {
      each<n_tokens>([&](auto t) __attribute__((always_inline)) { msum[t] = _mm512_setzero_si512(); });
      each<min_groups / 2>([&](auto i) __attribute__((always_inline)) {
        const __m512i mins = _mm512_load_si512(p.mins[i]);
        each<n_tokens>([&](auto t) __attribute__((always_inline)) {
          msum[t] = _mm512_dpwssd_epi32(msum[t], mins, broadcast4(in[t].group_sums + 2 * i));
        });
      });
    }
    const __m512 d = _mm512_load_ps(p.d[0]);
    const __m512 m = _mm512_load_ps(p.m[0]);
    each<n_tokens>([&](auto t) __attribute__((always_inline)) {
      const __m512 scale = _mm512_set1_ps(in[t].scales[0]);
      __m512 acc = _mm512_load_ps(y[t]);
      acc = _mm512_fmadd_ps(_mm512_mul_ps(d, scale), _mm512_cvtepi32_ps(isum[t]), acc);
      if constexpr (has_mins)
        acc = _mm512_fnmadd_ps(_mm512_mul_ps(m, scale), _mm512_cvtepi32_ps(msum[t]), acc);
      _mm512_store_ps(y[t], acc);
    });
  }

 private:
  template <int n_tokens>
  static void multiply(const BytePanel& p, const ByteInput* in, float (*y)[panel_lanes]) {
    __m512i isum[n_tokens];
    each<n_tokens>([&](auto t) __attribute__((always_inline)) { isum[t] = _mm512_setzero_si512(); });
    for (int g = 0; g < n_groups; ++g) {
      __m512i sum[n_tokens];
      each<n_tokens>([&](auto t) __attribute__((always_inline)) {
        sum[t] = code_offset == 0 ? _mm512_setzero_si512() : broadcast4(in[t].start + g);
      });
      products<n_tokens>(p, in, g, sum);
      if constexpr (group == 256) {
        each<n_tokens>([&](auto t) __attribute__((always_inline)) { isum[t] = sum[t]; });
      } else {
        const __m512i scale = _mm512_load_si512(p.scales[g]);
        each<n_tokens>([&](auto t) __attribute__((always_inline)) {
          isum[t] = _mm512_add_epi32(isum[t], _mm512_mullo_epi32(sum[t], scale));
        });
      }
    }
    finish<n_tokens>(p, in, isum, y);
  }

  COTERIE_INLINE static void store_start(__m512i sums, ByteInput& in) {
    _mm512_store_si512(in.start, _mm512_mullo_epi32(sums, _mm512_set1_epi32(-code_offset)));
  }

  // Pieces of 32 columns at most, so that the code of one loop body stays small.
  template <int n_tokens>
  COTERIE_INLINE static void products(const BytePanel& p, const ByteInput* in, int g,
                                      __m512i (&sum)[n_tokens]) {
    constexpr int piece = group < 32 ? group : 32;
    for (int column = g * group; column < (g + 1) * group; column += piece)
      each<piece / 4>([&](auto k) __attribute__((always_inline)) {
        const __m512i codes = _mm512_load_si512(p.codes[column / 4 + k]);
        each<n_tokens>([&](auto t) __attribute__((always_inline)) {
          sum[t] = _mm512_dpbusd_epi32(sum[t], codes, broadcast4(in[t].q + column + 4 * k));
        });
      });
  }
};

template <class Isa, int code_offset, bool with_mins>
struct SmallBlockPanel : BytePanelOps {
  static constexpr int offset = code_offset;

  COTERIE_INLINE static void gather(const Act32* x, int n_columns, ByteInput& in) {
    for (int b = 0; b < n_columns / 32; ++b) {
      _mm256_store_si256(reinterpret_cast<__m256i*>(in.q + 32 * b), Wide<Avx2>::load32(x[b].q));
      in.start[b] = -code_offset * x[b].sum;
      in.scales[b] = x[b].scale;
      in.sums[b] = static_cast<float>(x[b].sum);
    }
  }

  COTERIE_INLINE static void multiply(const BytePanel& p, const ByteInput* in, int n_tokens, int n_columns,
                                      float (*y)[panel_lanes]) {
    with_constant<tile>(
        n_tokens, [&](auto n) __attribute__((always_inline)) { multiply<n>(p, in, n_columns, y); });
  }

  // What block b of one token adds.
  COTERIE_INLINE static __m512 add_block(const BytePanel& p, int b, const ByteInput& in, __m512i sum,
                                         __m512 acc) {
    const __m512 scale = _mm512_set1_ps(in.scales[b]);
    acc = _mm512_fmadd_ps(_mm512_mul_ps(_mm512_load_ps(p.d[b]), scale), _mm512_cvtepi32_ps(sum), acc);
    if constexpr (with_mins)
      acc = _mm512_fmadd_ps(_mm512_mul_ps(_mm512_load_ps(p.m[b]), scale), _mm512_set1_ps(in.sums[b]), acc);
    return acc;
  }

 private:
  template <int n_tokens>
  static void multiply(const BytePanel& p, const ByteInput* in, int n_columns, float (*y)[panel_lanes]) {
    __m512 acc[n_tokens];
    each<n_tokens>([&](auto t) __attribute__((always_inline)) { acc[t] = _mm512_load_ps(y[t]); });
    for (int b = 0; b < n_columns / 32; ++b) {
      __m512i sum[n_tokens];
      each<n_tokens>([&](auto t) __attribute__((always_inline)) {
        sum[t] = code_offset == 0 ? _mm512_setzero_si512() : broadcast4(in[t].start + b);
      });
      each<8>([&](auto k) __attribute__((always_inline)) {
        const __m512i codes = _mm512_load_si512(p.codes[8 * b + k]);
        each<n_tokens>([&](auto t) __attribute__((always_inline)) {
          sum[t] = _mm512_dpbusd_epi32(sum[t], codes, broadcast4(in[t].q + 32 * b + 4 * k));
        });
      });
      each<n_tokens>([&](auto t)
                         __attribute__((always_inline)) { acc[t] = add_block(p, b, in[t], sum[t], acc[t]); });
    }
    each<n_tokens>([&](auto t) __attribute__((always_inline)) { _mm512_store_ps(y[t], acc[t]); });
  }
};

// Sixteen bytes of each of sixteen rows, turned: out[i], lane r: bytes 4 i .. 4 i + 3 of row r. Rows r, r + 4,
// r + 8, r + 12 are loaded into the four lanes of a register; the rest is 4 x 4 within lanes.
COTERIE_INLINE void turn(const std::byte* const (&row)[16], std::int64_t offset, __m512i (&out)[4]) {
  __m512i v[4];
  each<4>([&](auto i) __attribute__((always_inline)) {
    const auto load = [&](int r) { return load16(row[r] + offset); };
    v[i] = _mm512_castsi128_si512(load(i));
    v[i] = _mm512_mask_broadcast_i32x4(v[i], 0x00f0, load(i + 4));
    v[i] = _mm512_mask_broadcast_i32x4(v[i], 0x0f00, load(i + 8));
    v[i] = _mm512_mask_broadcast_i32x4(v[i], 0xf000, load(i + 12));
  });
  const __m512i a = _mm512_unpacklo_epi32(v[0], v[1]);
  const __m512i b = _mm512_unpacklo_epi32(v[2], v[3]);
  const __m512i c = _mm512_unpackhi_epi32(v[0], v[1]);
  const __m512i d = _mm512_unpackhi_epi32(v[2], v[3]);
  out[0] = _mm512_unpacklo_epi64(a, b);
  out[1] = _mm512_unpackhi_epi64(a, b);
  out[2] = _mm512_unpacklo_epi64(c, d);
  out[3] = _mm512_unpackhi_epi64(c, d);
}

}  // namespace coterie
