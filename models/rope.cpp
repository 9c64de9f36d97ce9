#include "models/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace coterie {

namespace {

struct SinCos {
  double sin, cos;
};

// Own sine and cosine, since the C library's may differ in the last bit from one CPU to the next and the
// numeric contract is about bits. Only IEEE operations in a fixed order; error below 1e-15 for angles below
// 2^20, so that rounding to float gives the correctly rounded value in all but freak cases.
SinCos sin_cos(double angle) {
  // pi / 2 in three parts of 33 bits, the products with a quarter count below 2^20 exact (Cody and Waite).
  constexpr double part1 = 0x1.921fb544p+0;
  constexpr double part2 = 0x1.0b4611a6p-34;
  constexpr double part3 = 0x1.3198a2e037073p-69;
  const double quarters = std::nearbyint(angle * (2.0 / std::numbers::pi));
  const double x = ((angle - quarters * part1) - quarters * part2) - quarters * part3;
  const double z = x * x;
  // Taylor series on [-pi/4, pi/4]; the first term left out is below 1e-17.
  double s = 0;
  for (const double c : {1.0 / 355687428096000.0, -1.0 / 1307674368000.0, 1.0 / 6227020800.0,
                         -1.0 / 39916800.0, 1.0 / 362880.0, -1.0 / 5040.0, 1.0 / 120.0, -1.0 / 6.0, 1.0})
    s = s * z + c;
  s *= x;
  double c = 0;
  for (const double t :
       {-1.0 / 6402373705728000.0, 1.0 / 20922789888000.0, -1.0 / 87178291200.0, 1.0 / 479001600.0,
        -1.0 / 3628800.0, 1.0 / 40320.0, -1.0 / 720.0, 1.0 / 24.0, -0.5, 1.0})
    c = c * z + t;
  switch (static_cast<std::int64_t>(quarters) & 3) {
    case 0:
      return {s, c};
    case 1:
      return {c, -s};
    case 2:
      return {-s, -c};
    default:
      return {-c, s};
  }
}

// The dimension whose wave makes that many turns within the original context.
double turning_dim(double turns, std::int64_t dim, double base, double context) {
  return static_cast<double>(dim) * std::log(context / (turns * 2 * std::numbers::pi)) / (2 * std::log(base));
}

}  // namespace

std::vector<float> plain_frequencies(std::int64_t dim, float base) {
  std::vector<float> f(static_cast<std::size_t>(dim / 2));
  for (std::size_t i = 0; i < f.size(); ++i)
    f[i] = static_cast<float>(
        std::pow(static_cast<double>(base), -2.0 * static_cast<double>(i) / static_cast<double>(dim)));
  return f;
}

std::vector<float> yarn_frequencies(std::int64_t dim, float base, const YarnScaling& yarn) {
  std::vector<float> f = plain_frequencies(dim, base);
  const double last = static_cast<double>(dim - 1);
  const double low = std::max(0.0, std::floor(turning_dim(yarn.beta_fast, dim, base, yarn.original_context)));
  double high = std::min(last, std::ceil(turning_dim(yarn.beta_slow, dim, base, yarn.original_context)));
  if (low == high) high += 0.001;
  for (std::size_t i = 0; i < f.size(); ++i) {
    const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    const double stretched = static_cast<double>(f[i]) / static_cast<double>(yarn.factor);
    f[i] = static_cast<float>(stretched * ramp + static_cast<double>(f[i]) * (1 - ramp));
  }
  return f;
}

void rope_table(const std::vector<float>& inv_freq, std::int64_t position, std::int64_t n_tokens,
                float* table) {
  for (std::int64_t token = 0; token < n_tokens; ++token)
    for (const float f : inv_freq) {
      // The reference multiplies in float32, and so does every other implementation: part of the definition.
      const SinCos a = sin_cos(static_cast<double>(static_cast<float>(position + token) * f));
      *table++ = static_cast<float>(a.cos);
      *table++ = static_cast<float>(a.sin);
    }
}

void rotate(const float* table, std::int64_t n_pairs, float* x) {
  for (std::int64_t i = 0; i < n_pairs; ++i) {
    const float a = x[2 * i];
    const float b = x[2 * i + 1];
    const float cos = table[2 * i];
    const float sin = table[2 * i + 1];
    x[2 * i] = a * cos - b * sin;
    x[2 * i + 1] = a * sin + b * cos;
  }
}

void rotate_halves(const float* table, std::int64_t n_pairs, float* x) {
  for (std::int64_t i = 0; i < n_pairs; ++i) {
    const float a = x[i];
    const float b = x[i + n_pairs];
    const float cos = table[2 * i];
    const float sin = table[2 * i + 1];
    x[i] = a * cos - b * sin;
    x[i + n_pairs] = a * sin + b * cos;
  }
}

}  // namespace coterie
