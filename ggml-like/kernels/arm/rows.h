// Rows of blocks on NEON, as in kernels/rows.h: a block is unpacked once, into registers, and meets up to four
// tokens. With smmla two rows meet two tokens at a time.
#pragma once

#include "kernels/arm/codebooks.h"
#include "kernels/arm/small_blocks.h"
#include "kernels/rows.h"

namespace coterie {

// How blocks of F are multiplied:
//   Unpacked, unpack(block, u)
//   accumulate(u, x, acc)             one block and one token, formats/integers.h
//   accumulate(u[2], x[2], acc[4])    two of each: acc[2 * row + token]; with smmla, not for all formats
template <class F, class Isa>
struct NeonOps;

template <class F, class Isa>
requires std::is_same_v<typename F::Integers, Integers256>
struct NeonOps<F, Isa> {
  using Unpacked = NeonBlock256;
  static constexpr bool pairs = NeonDots<Isa>::has_matrix;
  COTERIE_INLINE static void unpack(const typename F::Block& b, Unpacked& u) { NeonUnpack256<F>::run(b, u); }

  COTERIE_INLINE static float accumulate(const Unpacked& u, const Act256* x, float acc) {
    const int16x8_t scales[2] = {vmovl_s8(vget_low_s8(u.scales)), vmovl_high_s8(u.scales)};
    int32x4_t sum = vdupq_n_s32(0);
    each<16>([&](auto g) {
      const int32x4_t products = NeonDots<Isa>::dot(vdupq_n_s32(0), u.q[g], vld1q_s8(x->q + 16 * g));
      sum = vmlaq_n_s32(sum, products, vgetq_lane_s16(scales[g / 8], g % 8));
    });
    return finish(u, *x, vaddvq_s32(sum), acc);
  }

  COTERIE_INLINE static void accumulate(const Unpacked (&u)[2], const Act256* const (&x)[2],
                                        float (&acc)[4]) {
    int32x4_t sum = vdupq_n_s32(0);
    each<16>([&](auto g) {
      const int8x16_t rows[2] = {u[0].q[g], u[1].q[g]};
      const int8x16_t columns[2] = {vld1q_s8(x[0]->q + 16 * g), vld1q_s8(x[1]->q + 16 * g)};
      const int32x4_t products = NeonDots<Isa>::multiply(vdupq_n_s32(0), rows, columns);
      const int32x2_t first = vdup_n_s32(vgetq_lane_s8(u[0].scales, g));
      sum = vmlaq_s32(sum, products, vcombine_s32(first, vdup_n_s32(vgetq_lane_s8(u[1].scales, g))));
    });
    std::int32_t isum[4];
    vst1q_s32(isum, sum);
    for (int i = 0; i < 4; ++i) acc[i] = finish(u[i / 2], *x[i % 2], isum[i], acc[i]);
  }

 private:
  COTERIE_INLINE static float finish(const Unpacked& u, const Act256& x, std::int32_t isum, float acc) {
    acc = Isa::fma(u.d * x.scale, static_cast<float>(isum), acc);
    if constexpr (F::has_mins) {
      const int16x8_t first = vmovl_s8(vget_low_s8(u.mins));
      const int16x8_t second = vmovl_high_s8(u.mins);
      int32x4_t sum = products(vdupq_n_s32(0), first, vld1q_s16(x.group_sums));
      sum = products(sum, second, vld1q_s16(x.group_sums + 8));
      acc = Isa::fma(-(u.m * x.scale), static_cast<float>(vaddvq_s32(sum)), acc);
    }
    return acc;
  }
  COTERIE_INLINE static int32x4_t products(int32x4_t acc, int16x8_t a, int16x8_t b) {
    return vmlal_high_s16(vmlal_s16(acc, vget_low_s16(a), vget_low_s16(b)), a, b);
  }
};

template <class F, class Isa>
requires std::is_same_v<typename F::Integers, Integers32>
struct NeonOps<F, Isa> {
  using Unpacked = NeonBlock32;
  static constexpr bool pairs = NeonDots<Isa>::has_matrix;
  COTERIE_INLINE static void unpack(const typename F::Block& b, Unpacked& u) { NeonUnpack32<F>::run(b, u); }

  COTERIE_INLINE static float accumulate(const Unpacked& u, const Act32* x, float acc) {
    int32x4_t sum = NeonDots<Isa>::dot(vdupq_n_s32(0), u.q[0], vld1q_s8(x->q));
    sum = NeonDots<Isa>::dot(sum, u.q[1], vld1q_s8(x->q + 16));
    return finish(u, *x, vaddvq_s32(sum), acc);
  }

  COTERIE_INLINE static void accumulate(const Unpacked (&u)[2], const Act32* const (&x)[2], float (&acc)[4]) {
    int32x4_t sum = vdupq_n_s32(0);
    for (int i = 0; i < 2; ++i) {
      const int8x16_t rows[2] = {u[0].q[i], u[1].q[i]};
      const int8x16_t columns[2] = {vld1q_s8(x[0]->q + 16 * i), vld1q_s8(x[1]->q + 16 * i)};
      sum = NeonDots<Isa>::multiply(sum, rows, columns);
    }
    std::int32_t isum[4];
    vst1q_s32(isum, sum);
    for (int i = 0; i < 4; ++i) acc[i] = finish(u[i / 2], *x[i % 2], isum[i], acc[i]);
  }

 private:
  COTERIE_INLINE static float finish(const Unpacked& u, const Act32& x, std::int32_t isum, float acc) {
    acc = Isa::fma(u.d * x.scale, static_cast<float>(isum), acc);
    if constexpr (F::has_mins) acc = Isa::fma(u.m * x.scale, static_cast<float>(x.sum), acc);
    return acc;
  }
};

template <class Isa>
struct NeonOps<NVFP4, Isa> {
  using Unpacked = NeonBlock64;
  static constexpr bool pairs = false;
  COTERIE_INLINE static void unpack(const NVFP4::Block& b, Unpacked& u) { unpack_nvfp4(b, u); }
  COTERIE_INLINE static float accumulate(const Unpacked& u, const Act32* x, float acc) {
    for (int g = 0; g < 4; ++g) {
      const Act32& a = x[g / 2];
      const int32x4_t sum = NeonDots<Isa>::dot(vdupq_n_s32(0), u.q[g], vld1q_s8(a.q + 16 * (g % 2)));
      acc = Isa::fma(u.d[g] * a.scale, static_cast<float>(vaddvq_s32(sum)), acc);
    }
    return acc;
  }
};

template <class F, class Isa>
requires NeonIsa<Isa> &&(!std::is_same_v<typename F::Activation, ActF32>)struct Rows<F, Isa> {
  static void run(const RowsArgs& a) {
    int r = 0;
    if constexpr (Ops::pairs)
      if (a.n_tokens > 1)
        for (; r + 2 <= a.n_rows; r += 2) {
          int t = 0;
          for (; t + 4 <= a.n_tokens; t += 4) two_rows<4>(a, r, t);
          for (; t + 2 <= a.n_tokens; t += 2) two_rows<2>(a, r, t);
          if (t < a.n_tokens) {
            row<1>(a, r, t);
            row<1>(a, r + 1, t);
          }
        }
    for (; r < a.n_rows; ++r) {
      int t = 0;
      for (; t + 4 <= a.n_tokens; t += 4) row<4>(a, r, t);
      for (; t < a.n_tokens; ++t) row<1>(a, r, t);
    }
  }

 private:
  using Ops = NeonOps<F, Isa>;
  using Block = typename F::Block;
  using Activation = typename F::Activation;
  using Unpacked = typename Ops::Unpacked;
  static constexpr std::int64_t x_per_block = F::block_size / Activation::block_size;

  COTERIE_INLINE static const Block* blocks(const RowsArgs& a, int r) {
    return reinterpret_cast<const Block*>(a.w + r * a.row_bytes);
  }
  COTERIE_INLINE static const Activation* input(const RowsArgs& a, int t) {
    return reinterpret_cast<const Activation*>(a.input(t));
  }

  template <int n_tokens>
  COTERIE_INLINE static void row(const RowsArgs& a, int r, int t) {
    float acc[n_tokens] = {};
    for (std::int64_t b = 0; b < a.n / F::block_size; ++b) {
      Unpacked u;
      Ops::unpack(blocks(a, r)[b], u);
      for (int i = 0; i < n_tokens; ++i)
        acc[i] = Ops::accumulate(u, input(a, t + i) + b * x_per_block, acc[i]);
    }
    for (int i = 0; i < n_tokens; ++i) a.y[(t + i) * a.y_stride + r] = acc[i];
  }

  template <int n_tokens>
  COTERIE_INLINE static void two_rows(const RowsArgs& a, int r, int t) {
    float acc[n_tokens / 2][4] = {};
    for (std::int64_t b = 0; b < a.n / F::block_size; ++b) {
      Unpacked u[2];
      for (int i = 0; i < 2; ++i) Ops::unpack(blocks(a, r + i)[b], u[i]);
      for (int i = 0; i < n_tokens; i += 2) {
        const Activation* const x[2] = {input(a, t + i) + b * x_per_block,
                                        input(a, t + i + 1) + b * x_per_block};
        Ops::accumulate(u, x, acc[i / 2]);
      }
    }
    for (int i = 0; i < n_tokens; ++i)
      for (int k = 0; k < 2; ++k) a.y[(t + i) * a.y_stride + r + k] = acc[i / 2][2 * k + i % 2];
  }
};

}  // namespace coterie
