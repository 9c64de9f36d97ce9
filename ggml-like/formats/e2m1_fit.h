// Encoding to e2m1 codes: what MXFP4 and NVFP4 share. Both have few scales to choose from, so that the encoders try
// those around the one that just covers the largest weight and keep the one with the least error.
#pragma once

#include "formats/encoder.h"
#include "formats/importance.h"
#include "formats/nvfp4.h"

namespace coterie {

// NaN counts as infinite.
COTERIE_INLINE float largest_magnitude(const float* x, int n) {
  float top = 0;
  for (int i = 0; i < n; ++i) {
    const float magnitude = float_of(bits_of(x[i]) & 0x7fffffffU);
    if (!(magnitude <= top)) top = is_finite(magnitude) ? magnitude : float_of(0x7f800000U);
  }
  return top;
}

template <class Isa>
struct FitE2m1 {
  using Batch = typename Isa::Batch;
  static constexpr int width = static_cast<int>(Batch::size);

  // The weighted squared error of 16 weights under the nearest codes of scale d.
  COTERIE_INLINE static float error(const float* x, const float* w, float d) {
    alignas(64) float e[16];
    for (int i = 0; i < 16; i += width) {
      const Batch magnitude = xsimd::abs(Batch::load_unaligned(x + i));
      Batch nearest = magnitude;
      for (int code = 1; code < 8; ++code)
        nearest =
            xsimd::min(nearest, xsimd::abs(magnitude - Batch(d * static_cast<float>(e2m1_levels[code]))));
      (Batch::load_unaligned(w + i) * nearest * nearest).store_aligned(e + i);
    }
    for (int half = 8; half > 0; half /= 2)
      for (int i = 0; i < half; ++i) e[i] += e[i + half];
    return e[0];
  }

  // The nearest codes of 16 weights.
  COTERIE_INLINE static void codes(const float* x, float d, std::uint8_t* q) {
    for (int i = 0; i < 16; ++i) {
      const float magnitude = float_of(bits_of(x[i]) & 0x7fffffffU);
      int code = 0;
      for (int k = 0; k < 7; ++k)
        code += magnitude > d * (0.5F * static_cast<float>(e2m1_levels[k] + e2m1_levels[k + 1])) ? 1 : 0;
      q[i] = static_cast<std::uint8_t>(code | (code != 0 && x[i] < 0 ? 8 : 0));
    }
  }
};

template <class Isa>
struct Encoder<MXFP4, Isa> {
  COTERIE_INLINE static void block(const float* x, const float* importance, MXFP4::Block& b) {
    using Fit = FitE2m1<Isa>;
    b = {};
    if (!within_reach(x, 32)) {
      b.exponent = 255;  // no number
      return;
    }
    float w[32];
    normalise_importance(importance, 32, w);
    const float top = largest_magnitude(x, 32);
    // Where the largest weight lies between 4 and 8 times half the levels' scale: 6 is the largest such value.
    const int covering = static_cast<int>(bits_of(top) >> 23) - 2;
    float least = float_of(0x7f800000U);
    for (int exponent = covering + 1; exponent >= covering - 2 && top > 0; --exponent) {
      if (exponent < 0) break;
      const float d = MXFP4::power_of(static_cast<std::uint32_t>(exponent));
      const float error = Fit::error(x, w, d) + Fit::error(x + 16, w + 16, d);
      if (!(error < least)) continue;
      least = error;
      b.exponent = static_cast<std::uint8_t>(exponent);
    }
    std::uint8_t q[32];
    for (int i = 0; i < 32; i += 16) Fit::codes(x + i, MXFP4::power_of(b.exponent), q + i);
    for (int j = 0; j < 16; ++j) b.nibbles[j] = static_cast<std::uint8_t>(q[j] | q[j + 16] << 4);
  }
};

template <class Isa>
struct Encoder<NVFP4, Isa> {
  using Fit = FitE2m1<Isa>;

  COTERIE_INLINE static void block(const float* x, const float* importance, NVFP4::Block& b) {
    float w[64];
    normalise_importance(importance, 64, w);
    for (int g = 0; g < 4; ++g) {
      const float* group = x + 16 * g;
      b.scales[g] = scale(group, w + 16 * g);
      std::uint8_t q[16];
      Fit::codes(group, NVFP4::half_of_scale(b.scales[g]), q);
      for (int j = 0; j < 8; ++j) b.nibbles[8 * g + j] = static_cast<std::uint8_t>(q[j] | q[j + 8] << 4);
    }
  }

 private:
  // Beyond the largest scale the format cannot follow: refused like what is no number.
  COTERIE_INLINE static std::uint8_t scale(const float* x, const float* w) {
    constexpr std::uint8_t largest = 0x7e, no_number = 0x7f;
    const float top = largest_magnitude(x, 16);
    if (!(top <= 12.0F * NVFP4::half_of_scale(largest))) return no_number;
    int covering = 0;
    while (covering < largest && 12.0F * NVFP4::half_of_scale(static_cast<std::uint8_t>(covering)) < top)
      ++covering;
    int best = 0;
    float least = Fit::error(x, w, 0.0F);
    for (int s = covering < 10 ? 1 : covering - 9; s <= covering + 2 && s <= largest; ++s) {
      const float error = Fit::error(x, w, NVFP4::half_of_scale(static_cast<std::uint8_t>(s)));
      if (!(error < least)) continue;
      least = error;
      best = s;
    }
    return static_cast<std::uint8_t>(best);
  }
};

}  // namespace coterie
