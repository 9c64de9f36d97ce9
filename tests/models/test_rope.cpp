// Frequencies against the reference's, the own sine and cosine against the C library's.
#include "models/rope.h"
#include "tests/models/reference.h"

#include <doctest/doctest.h>

#include <cmath>

namespace coterie::test {

namespace {

// Largest distance, relative to the expected value.
double relative_distance(const std::vector<float>& got, const std::vector<float>& expected) {
  double largest = got.size() == expected.size() ? 0 : 1;
  for (std::size_t i = 0; i < std::min(got.size(), expected.size()); ++i)
    largest = std::max(largest, std::abs(static_cast<double>(got[i]) / expected[i] - 1));
  return largest;
}

}  // namespace

TEST_CASE("YaRN frequencies are the reference's, and a shifted ramp is not") {
  const std::vector<float> expected = Reference("v3-yarn").floats("rope.inv_freq");
  const YarnScaling yarn{.factor = 40, .original_context = 64, .beta_fast = 32, .beta_slow = 1};
  CHECK(relative_distance(yarn_frequencies(32, 10000.0F, yarn), expected) <= 1e-6);
  YarnScaling shifted = yarn;
  shifted.original_context = 640;
  CHECK(relative_distance(yarn_frequencies(32, 10000.0F, shifted), expected) > 1e-3);
}

TEST_CASE("a YaRN ramp without width is a step") {
  const YarnScaling yarn{.factor = 40, .original_context = 6, .beta_fast = 32, .beta_slow = 1};
  const std::vector<float> plain = plain_frequencies(32, 10000.0F), f = yarn_frequencies(32, 10000.0F, yarn);
  CHECK(f[0] == plain[0]);
  for (std::size_t i = 1; i < f.size(); ++i) CHECK(f[i] == plain[i] / 40);
}

TEST_CASE("the table holds the correctly rounded cosine and sine of the float angle") {
  const std::vector<float> inv_freq = plain_frequencies(64, 10000.0F);
  std::vector<float> table(64);
  int wrong = 0;
  for (std::int64_t position = 0; position < 200000; position += 37) {
    rope_table(inv_freq, position, 1, table.data());
    for (std::size_t i = 0; i < inv_freq.size(); ++i) {
      const auto angle = static_cast<double>(static_cast<float>(position) * inv_freq[i]);
      wrong += table[2 * i] != static_cast<float>(std::cos(angle));
      wrong += table[2 * i + 1] != static_cast<float>(std::sin(angle));
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("a rotation keeps lengths and turns by the angle") {
  const float angle[] = {0.6F, 0.8F};  // cosine, sine
  float x[] = {1.0F, 0.0F};
  rotate(angle, 1, x);
  CHECK(x[0] == 0.6F);
  CHECK(x[1] == 0.8F);
}

}  // namespace coterie::test
