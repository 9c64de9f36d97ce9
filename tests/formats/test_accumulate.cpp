// tests/formats/test_accumulate.cpp: the numeric contract of every format.
#include "tests/formats/support.h"

#include <doctest/doctest.h>

#include <string>

namespace coterie::test {

namespace {

struct Expected {
  double value;
  double magnitude;  // what rounding errors are measured against
};

// In double, from decoded weights and dequantised activations.
template <class F>
Expected plain_dot(const typename F::Block& block, const typename F::Activation* x) {
  float w[F::block_size];
  F::decode(block, w);
  double value = 0, top = 0, size = 0;
  for (int i = 0; i < F::block_size; ++i) {
    const double weight = static_cast<double>(w[i]);
    value += weight * value_of(x, i);
    size += std::fabs(value_of(x, i));
    top = std::max(top, std::fabs(weight));
  }
  return {value, top * size};
}

// A few roundings of 2^-24 each.
constexpr double tolerance = 4e-7;

template <class F>
bool agrees(const typename F::Block& block, const typename F::Activation* x, const Expected& expected) {
  const double got = static_cast<double>(F::accumulate(block, x, 0.0F));
  return std::fabs(got - expected.value) <= tolerance * expected.magnitude;
}

template <class F>
typename F::Block flip_bit(typename F::Block block, std::size_t bit) {
  std::uint8_t bytes[sizeof block];
  std::memcpy(bytes, &block, sizeof block);
  bytes[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
  std::memcpy(&block, bytes, sizeof block);
  return block;
}

}  // namespace

TEST_CASE_TEMPLATE_DEFINE("a block's sum agrees with plain arithmetic on its decoded weights", F,
                          sums_agree) {
  std::mt19937 random(7);
  for (int i = 0; i < 200; ++i) {
    const typename F::Block block = sound_block<F>(random);
    const auto x = gaussian_activations<F>(random);
    INFO(std::string(F::name), " block ", i);
    CHECK(agrees<F>(block, x.data(), plain_dot<F>(block, x.data())));
  }
}
TEST_CASE_TEMPLATE_APPLY(sums_agree, Formats::Tuple);

TEST_CASE_TEMPLATE_DEFINE("the tolerance above notices one wrong bit", F, wrong_bit_noticed) {
  std::mt19937 random(8);
  const typename F::Block block = sound_block<F>(random);
  const auto x = gaussian_activations<F>(random);
  const Expected expected = plain_dot<F>(block, x.data());
  const std::size_t bits = 8 * sizeof(typename F::Block);
  std::size_t noticed = 0;
  for (std::size_t bit = 0; bit < bits; ++bit)
    noticed += agrees<F>(flip_bit<F>(block, bit), x.data(), expected) ? 0 : 1;
  INFO(std::string(F::name), ": ", noticed, " of ", bits);
  // Not all: some bits belong to a group whose scale is zero or small beside the others, or end a base-3
  // digit.
  CHECK(noticed * 10 >= bits * 7);
}
TEST_CASE_TEMPLATE_APPLY(wrong_bit_noticed, Formats::Tuple);

TEST_CASE_TEMPLATE_DEFINE("an accumulator takes part in the rounding of its own fma", F, sums_chain) {
  std::mt19937 random(9);
  const typename F::Block block = sound_block<F>(random);
  const auto x = gaussian_activations<F>(random);
  const Expected expected = plain_dot<F>(block, x.data());
  const float before = static_cast<float>(expected.magnitude) * 0.37F;
  const double after = static_cast<double>(F::accumulate(block, x.data(), before));
  CHECK(std::fabs(after - static_cast<double>(before) - expected.value) <= tolerance * expected.magnitude);
}
TEST_CASE_TEMPLATE_APPLY(sums_chain, Formats::Tuple);

namespace {

// All activations +-127, each with the sign that makes its term positive: the largest integer sum of these
// weights.
std::int64_t worst_case(const Integers256& u, Act256& x) {
  x.scale = 1.0F;
  std::int64_t sum = 0;
  for (int i = 0; i < 256; ++i) {
    const int product = u.scales[i / 16] * u.q[i];
    x.q[i] = static_cast<std::int8_t>(product < 0 ? -127 : 127);
    sum += std::int64_t{product} * x.q[i];
  }
  for (int g = 0; g < 16; ++g) {
    int group = 0;
    for (int i = 16 * g; i < 16 * g + 16; ++i) group += x.q[i];
    x.group_sums[g] = static_cast<std::int16_t>(group);
  }
  return sum;
}

// Blocks made of extreme bytes.
template <class F>
typename F::Block extreme_block(std::mt19937& random) {
  const std::uint8_t extremes[] = {0x00, 0xff, 0x7f, 0x80, 0xf0, 0x0f};
  std::uint8_t bytes[sizeof(typename F::Block)];
  const std::uint8_t one = extremes[random() % 6];
  for (std::uint8_t& b : bytes) b = random() % 2 != 0 ? one : extremes[random() % 6];
  typename F::Block block;
  std::memcpy(&block, bytes, sizeof block);
  return block;
}

}  // namespace

TEST_CASE_TEMPLATE_DEFINE("the integer sum of a block is exact at its extremes", F, sums_are_exact) {
  if constexpr (std::is_same_v<typename F::Activation, Act256>) {
    std::mt19937 random(10);
    for (int i = 0; i < 2000; ++i) {
      Integers256 u;
      F::unpack(extreme_block<F>(random), u);
      u.d = 1.0F;
      u.dmin = 1.0F;
      Act256 x;
      const std::int64_t sum = worst_case(u, x);
      std::int64_t min_sum = 0;
      for (int g = 0; g < 16; ++g) min_sum += std::int64_t{u.mins[g]} * x.group_sums[g];
      float expected = static_cast<float>(sum);
      if (F::has_mins)
        expected = static_cast<float>(static_cast<double>(expected) - static_cast<double>(min_sum));
      REQUIRE(sum <= INT32_MAX);
      CHECK(bits_of(accumulate_integers<F::has_mins>(u, &x, 0.0F)) == bits_of(expected));
    }
  }
}
TEST_CASE_TEMPLATE_APPLY(sums_are_exact, Formats::Tuple);

TEST_CASE("the largest of all integer sums is Q6_K's and fits") {
  Q6_K::Block block{};
  for (std::int8_t& s : block.scales) s = -128;
  block.scale.bits = float_to_half(1.0F);
  Integers256 u;
  Q6_K::unpack(block, u);
  Act256 x;
  CHECK(worst_case(u, x) == std::int64_t{256} * 127 * 128 * 32);
  CHECK(Q6_K::accumulate(block, &x, 0.0F) == 133169152.0F);
}

TEST_CASE("activations that are no numbers make every format's sum none") {
  Formats::for_each([](auto type, int) {
    using F = typename decltype(type)::type;
    if constexpr (!std::is_same_v<typename F::Activation, ActF32>) {
      std::mt19937 random(11);
      float x[256] = {1.0F, INFINITY};
      typename F::Activation a[2];
      for (typename F::Activation& block : a) quantize_block(x, block);
      CHECK(std::isnan(F::accumulate(sound_block<F>(random), a, 0.0F)));
    }
  });
}

}  // namespace coterie::test
