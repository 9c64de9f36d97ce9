// Sums of cached rows with weights: equal bits on every ISA, close to the same thing in double.
#include "tests/kernels/support.h"

#include <doctest/doctest.h>

#include <algorithm>

namespace coterie::test {

namespace {

// Weights as a softmax leaves them, rows as the encoder of Q8_0 does.
struct Mixture {
  Mixture(std::int64_t columns, int positions, int tokens, unsigned seed)
      : n(columns),
        n_positions(positions),
        n_tokens(tokens),
        v(static_cast<std::size_t>(columns / 32 * 34 * positions)) {
    for (int p = 0; p < positions; ++p)
      generic_kernels().encode[find_format("Q8_0")->index](
          gaussian(n, seed + static_cast<unsigned>(p), 1.0F + static_cast<float>(p % 5)).data(), nullptr, n,
          v.data() + p * row_bytes());
    weights = gaussian(std::int64_t{tokens} * mix_positions, seed + 100, 3.0F);
    for (std::size_t i = 0; i < weights.size(); ++i)
      weights[i] = static_cast<int>(i) % mix_positions < positions ? std::exp(weights[i]) : 0.0F;
    keep = gaussian(tokens, seed + 101);
    for (float& x : keep) x = std::abs(x);
    before = gaussian(n * tokens, seed + 102);
  }
  std::int64_t row_bytes() const { return n / 32 * 34; }

  std::vector<float> run(const Kernels& k) const {
    std::vector<float> y = before;
    k.mix({.v = v.data(),
           .v_bytes = row_bytes(),
           .n_positions = n_positions,
           .weights = weights.data(),
           .keep = keep.data(),
           .n_tokens = n_tokens,
           .n = n,
           .y = y.data(),
           .y_stride = n});
    return y;
  }

  // The largest difference from doubles, in units of the largest weighted value of its block.
  double worst(const std::vector<float>& y) const {
    std::vector<float> row(static_cast<std::size_t>(n));
    std::vector<double> sum(y.size());
    std::vector<double> largest(y.size());
    for (int p = 0; p < n_positions; ++p) {
      generic_kernels().q8_0_to_float(v.data() + p * row_bytes(), n, row.data());
      for (std::size_t i = 0; i < y.size(); ++i) {
        const auto width = static_cast<std::size_t>(n);
        const double w =
            static_cast<double>(weights[i / width * mix_positions + static_cast<std::size_t>(p)]);
        sum[i] += w * static_cast<double>(row[i % width]);
        largest[i] = std::max(largest[i], w * 5.0 * 4.0);  // four standard deviations of the widest row
      }
    }
    double worst = 0;
    for (std::size_t i = 0; i < y.size(); ++i)
      worst =
          std::max(worst, std::abs(static_cast<double>(y[i]) - sum[i] -
                                   static_cast<double>(before[i] * keep[i / static_cast<std::size_t>(n)])) /
                              largest[i]);
    return worst;
  }

  std::int64_t n;
  int n_positions, n_tokens;
  std::vector<std::byte> v;
  std::vector<float> weights, keep, before;
};

}  // namespace

TEST_CASE("weighted sums of rows are the same bits on every ISA, and near doubles") {
  for (const std::int64_t n : {32, 96, 512})
    for (const int positions : {1, 2, 17, 63, 64})
      for (const int tokens : {1, 2, 7, 8, 9, 40}) {
        const Mixture m(n, positions, tokens, 7);
        const std::vector<float> expected = m.run(generic_kernels());
        // 64 weights, each rounded to 127 levels.
        CHECK(m.worst(expected) <= 0.03);
        for (const Kernels* k : runnable_kernels()) {
          INFO(std::string(k->isa), ", ", n, " columns, ", positions, " positions, ", tokens, " tokens");
          CHECK(first_difference(m.run(*k), expected) == -1);
        }
      }
}

TEST_CASE("the bound above notices a position left out, another's scale, and a token's neighbour") {
  const Mixture m(96, 40, 3, 8);
  const double bound = 0.03;
  Mixture fewer = m;
  float* weight = &*std::max_element(fewer.weights.begin(), fewer.weights.begin() + 40);
  *weight = 0;
  CHECK(m.worst(fewer.run(kernels())) > bound);
  Mixture scaled = m;
  for (int p = 0; p + 1 < 40; ++p)
    std::memcpy(scaled.v.data() + p * m.row_bytes(), m.v.data() + (p + 1) * m.row_bytes(), 2);
  CHECK(m.worst(scaled.run(kernels())) > bound);
  Mixture other = m;
  std::rotate(other.weights.begin(), other.weights.begin() + mix_positions, other.weights.end());
  CHECK(m.worst(other.run(kernels())) > bound);
}

TEST_CASE("weights of zero leave what is there, and one that is no number shows") {
  Mixture m(64, 20, 2, 9);
  std::fill(m.weights.begin(), m.weights.begin() + mix_positions, 0.0F);
  m.weights[mix_positions + 3] = NAN;
  m.keep = {1.0F, 1.0F};
  for (const Kernels* k : runnable_kernels()) {
    const std::vector<float> y = m.run(*k);
    CHECK(std::equal(y.begin(), y.begin() + 64, m.before.begin()));
    CHECK(std::all_of(y.begin() + 64, y.end(), [](float x) { return std::isnan(x); }));
  }
}

}  // namespace coterie::test
