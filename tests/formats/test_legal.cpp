// tests/formats/test_legal.cpp: what verify may call sound.
#include "formats/formats.h"
#include "tests/formats/support.h"

#include <doctest/doctest.h>

#include <string>

namespace coterie::test {

namespace {

// Damages the (first) scale of a block; where the scale is no float, in the ways its format has.
template <class B>
requires requires(B& b) { b.scale; }
void spoil(B& b, std::uint16_t half_bits) { b.scale.bits = half_bits; }
void spoil(F32::Block& b, std::uint16_t half_bits) { b.value = half_to_float(half_bits); }
void spoil(F16::Block& b, std::uint16_t half_bits) { b.value.bits = half_bits; }
void spoil(BF16::Block& b, std::uint16_t half_bits) {
  b.value.bits = float_to_bf16(half_to_float(half_bits));
}
void spoil(MXFP4::Block& b, std::uint16_t) { b.exponent = 255; }
void spoil(NVFP4::Block& b, std::uint16_t half_bits) { b.scales[3] = half_bits & 0x8000U ? 0x81 : 0x7f; }
void spoil(IQ1_M::Block& b, std::uint16_t half_bits) {
  for (int i = 0; i < 4; ++i)
    b.scales[i] = static_cast<std::uint16_t>((b.scales[i] & 0xfffU) | (half_bits >> (4 * i) & 15U) << 12);
}

}  // namespace

TEST_CASE_TEMPLATE_DEFINE("a block is legal until its scale is no number", F, scale_matters) {
  std::mt19937 random(1);
  constexpr std::uint16_t no_numbers[] = {0x7c00, 0xfc00, 0x7e00, 0xfe00, 0x7c01};
  for (const std::uint16_t bits : no_numbers) {
    typename F::Block block = sound_block<F>(random);
    INFO(std::string(F::name), " scale bits ", bits);
    CHECK(F::legal(block));
    spoil(block, bits);
    CHECK_FALSE(F::legal(block));
  }
}
TEST_CASE_TEMPLATE_APPLY(scale_matters, Formats::Tuple);

TEST_CASE("MXFP4's scales end at 2^40") {
  std::mt19937 random(5);
  MXFP4::Block block = sound_block<MXFP4>(random);
  for (int exponent = 0; exponent < 256; ++exponent) {
    block.exponent = static_cast<std::uint8_t>(exponent);
    CHECK(MXFP4::legal(block) == (MXFP4::power_of(block.exponent) <= 0x1p40F && exponent < 255));
  }
}

TEST_CASE_TEMPLATE_DEFINE("a minimum that is no number is as illegal as a scale", F, min_matters) {
  std::mt19937 random(2);
  typename F::Block block = sound_block<F>(random);
  block.min.bits = 0xfc00;
  CHECK_FALSE(F::legal(block));
}
TEST_CASE_TEMPLATE_INSTANTIATE(min_matters, Q4_1, Q5_1, Q2_K, Q4_K, Q5_K);

TEST_CASE_TEMPLATE_DEFINE("whatever the bytes, a legal block decodes to numbers", F, legal_is_finite) {
  std::mt19937 random(3);
  int legal = 0;
  for (int i = 0; i < 5000; ++i) {
    const typename F::Block block = random_block<F>(random);
    if (!F::legal(block)) continue;
    ++legal;
    float w[F::block_size];
    F::decode(block, w);
    for (const float v : w) REQUIRE(std::isfinite(v));
  }
  CHECK(legal > 100);
}
TEST_CASE_TEMPLATE_APPLY(legal_is_finite, Formats::Tuple);

TEST_CASE("one bad block in a row is found wherever it lies") {
  std::mt19937 random(4);
  std::vector<Q4_K::Block> row(7);
  for (Q4_K::Block& b : row) b = sound_block<Q4_K>(random);
  const FormatInfo& f = *find_format("Q4_K");
  const auto legal = [&] { return f.legal(std::as_bytes(std::span(row)).data(), 7 * 256); };
  CHECK(legal());
  for (Q4_K::Block& b : row) {
    const Half before = b.min;
    b.min.bits = 0x7e00;
    CHECK_FALSE(legal());
    b.min = before;
  }
}

}  // namespace coterie::test
