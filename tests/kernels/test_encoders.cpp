// tests/kernels/test_encoders.cpp: every encoder writes the same bytes on every instruction set, whatever it is given.
#include "formats/formats.h"
#include "kernels/kernels.h"

#include <doctest/doctest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

namespace coterie {

namespace {

using Floats = std::vector<float>;

constexpr std::int64_t n = 4096;

Floats gaussian(std::mt19937& random, float deviation) {
  Floats x(n);
  for (float& v : x) v = std::normal_distribution<float>(0.0F, deviation)(random);
  return x;
}

// Any bits: NaN, infinities, denormals, huge and tiny numbers among each other.
Floats any_bits(std::mt19937& random) {
  Floats x(n);
  for (float& v : x) v = __builtin_bit_cast(float, static_cast<std::uint32_t>(random()));
  return x;
}

// Blocks of one value each, and some that are nearly so.
Floats flat_blocks(std::mt19937& random) {
  const float values[] = {0.0F,   -0.0F, 1.0F,  -1.0F,     0.3F,    1e-45F, -1e-40F, 1e-30F,
                          1e-20F, 1e4F,  65504, -65519.0F, 3.0e38F, 1e12F,  0x1p39F, -0x1p41F};
  Floats x(n);
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = values[i / 256];
    if (i % 64 < 32 && random() % 16 == 0) x[i] *= 0.5F;
  }
  return x;
}

// Rows that break searches: one weight out of all proportion, sorted values, two values, signs that alternate.
std::vector<Floats> row_sets() {
  std::mt19937 random(7);
  std::vector<Floats> sets{gaussian(random, 0.02F),  gaussian(random, 1e-7F), gaussian(random, 1e5F),
                           gaussian(random, 1e-38F), any_bits(random),        flat_blocks(random)};
  Floats outliers = gaussian(random, 0.02F), two_values(n), moderate = any_bits(random), steps(n);
  for (std::size_t i = 0; i < n; ++i) {
    if (i % 101 == 0) outliers[i] *= 1000.0F;
    two_values[i] = random() % 2 != 0 ? 0.7F : (i / 256 % 2 != 0 ? -0.7F : 0.1F);
    if (!(std::fabs(moderate[i]) < 1e20F)) moderate[i] = 1.0F;
    steps[i] = static_cast<float>(i % 256) - static_cast<float>(i / 256 * 8);
  }
  for (Floats* set : {&outliers, &two_values, &moderate, &steps}) sets.push_back(*set);
  return sets;
}

std::vector<Floats> importances() {
  std::mt19937 random(8);
  Floats usual = gaussian(random, 1.0F), sparse(n), zero(n);
  for (float& v : usual) v = std::exp(v);
  for (std::size_t i = 0; i < n; i += 7) sparse[i] = usual[i] * 1e-30F;
  return {{}, usual, sparse, zero, any_bits(random)};
}

std::vector<std::byte> encoded(const Kernels& k, const FormatInfo& f, const Floats& x,
                               const Floats& importance) {
  std::vector<std::byte> blocks(static_cast<std::size_t>(f.row_bytes(n)));
  k.encode[f.index](x.data(), importance.empty() ? nullptr : importance.data(), n, blocks.data());
  return blocks;
}

}  // namespace

TEST_CASE("every instruction set encodes to the same bytes") {
  const std::vector<Floats> rows = row_sets(), weights = importances();
  for (const FormatInfo& f : all_formats()) {
    if (f.encode == nullptr) continue;
    for (std::size_t r = 0; r < rows.size(); ++r)
      for (std::size_t i = 0; i < weights.size(); ++i) {
        std::vector<std::byte> expected(static_cast<std::size_t>(f.row_bytes(n)));
        f.encode(rows[r].data(), weights[i].empty() ? nullptr : weights[i].data(), n, expected.data());
        for (const Kernels* k : all_kernels()) {
          if (!k->runnable()) continue;
          INFO(std::string(f.name), " on ", std::string(k->isa), ", rows ", r, ", importance ", i);
          CHECK(encoded(*k, f, rows[r], weights[i]) == expected);
        }
      }
  }
}

TEST_CASE("the comparison above sees one weight that is one percent larger") {
  std::mt19937 random(9);
  for (const char* name : {"F16", "Q5_1", "Q8_0", "Q2_K", "Q4_K", "Q6_K", "IQ4_XS"}) {
    const FormatInfo& f = *find_format(std::string_view(name));
    Floats x = gaussian(random, 0.02F);
    const std::vector<std::byte> before = encoded(kernels(), f, x, {});
    for (std::size_t i = 0; i < x.size(); i += 256) x[i] *= 1.01F;
    INFO(std::string(name));
    CHECK(encoded(kernels(), f, x, {}) != before);
  }
}

}  // namespace coterie
