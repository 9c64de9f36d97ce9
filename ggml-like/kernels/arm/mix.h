// Sums of cached rows with weights by sdot: four positions' bytes of a column side by side, lane = column.
#pragma once

#include "kernels/arm/neon_dot.h"
#include "kernels/mix.h"

namespace coterie {

template <class Isa>
requires std::is_base_of_v<NeonDot, Isa>
struct Mix<Isa> {
  static void run(const MixArgs& a) {
    for (std::int64_t column = 0; column < a.n; column += Q8_0::block_size) {
      Panel p;
      fill(a, column, p);
      for (int t = 0; t < a.n_tokens; ++t) token(a, p, t, column);
    }
  }

 private:
  static constexpr int fours = mix_positions / 4;
  struct Panel {
    std::int8_t codes[fours][8][16];  // [4 positions][4 columns][column x 4]
    float scales[mix_positions];
  };

  COTERIE_INLINE static void fill(const MixArgs& a, std::int64_t column, Panel& p) {
    // Positions behind the last: any bytes, their weight is 0.
    const auto block = [&](int position) __attribute__((always_inline)) {
      const std::byte* row = a.v + (position < a.n_positions ? position : 0) * a.v_bytes;
      return reinterpret_cast<const Q8_0::Block*>(row) + column / Q8_0::block_size;
    };
    for (int i = 0; i < mix_positions; ++i) p.scales[i] = half(block(i)->scale);
    for (int i = 0; i < fours; ++i)
      each<2>([&](auto h) __attribute__((always_inline)) {
        int8x16_t row[4];
        each<4>([&](auto r)
                    __attribute__((always_inline)) { row[r] = vld1q_s8(block(4 * i + r)->q + 16 * h); });
        const int16x8_t a_low = vreinterpretq_s16_s8(vzip1q_s8(row[0], row[1]));
        const int16x8_t a_high = vreinterpretq_s16_s8(vzip2q_s8(row[0], row[1]));
        const int16x8_t b_low = vreinterpretq_s16_s8(vzip1q_s8(row[2], row[3]));
        const int16x8_t b_high = vreinterpretq_s16_s8(vzip2q_s8(row[2], row[3]));
        const int16x8_t four[4] = {vzip1q_s16(a_low, b_low), vzip2q_s16(a_low, b_low),
                                   vzip1q_s16(a_high, b_high), vzip2q_s16(a_high, b_high)};
        each<4>([&](auto k) __attribute__((always_inline)) {
          vst1q_s8(p.codes[i][4 * h + k], vreinterpretq_s8_s16(four[k]));
        });
      });
  }

  static void token(const MixArgs& a, const Panel& p, int t, std::int64_t column) {
    float products[mix_positions];
    for (int i = 0; i < mix_positions; i += 4)
      vst1q_f32(products + i, vmulq_f32(vld1q_f32(a.weights + t * std::int64_t{mix_positions} + i),
                                        vld1q_f32(p.scales + i)));
    std::int8_t u[mix_positions];
    const float32x4_t scale = vdupq_n_f32(quantize_values<mix_positions>(products, u));
    int32x4_t sum[8];
    each<8>([&](auto c) __attribute__((always_inline)) { sum[c] = vdupq_n_s32(0); });
    for (int i = 0; i < fours; ++i) {
      std::int32_t four;
      __builtin_memcpy(&four, u + 4 * i, sizeof four);
      const int8x16_t weights = vreinterpretq_s8_s32(vdupq_n_s32(four));
      each<8>([&](auto c) __attribute__((always_inline)) {
        sum[c] = NeonDots<Isa>::dot(sum[c], vld1q_s8(p.codes[i][c]), weights);
      });
    }
    float* y = a.y + t * a.y_stride + column;
    each<8>([&](auto c) __attribute__((always_inline)) {
      const float32x4_t kept = vmulq_n_f32(vld1q_f32(y + 4 * c), a.keep[t]);
      vst1q_f32(y + 4 * c, vfmaq_f32(kept, scale, vcvtq_f32_s32(sum[c])));
    });
  }
};

}  // namespace coterie
