// The cache: what comes back is what was stored, as its type rounds it, whatever columns are asked for.
#include "device/cpu/cache.h"

#include "base/errors.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace coterie {

namespace {

constexpr std::int64_t width = 96;

std::vector<float> random_row(std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> row(width);
  for (float& x : row) x = normal(random);
  return row;
}

// The largest difference of columns [column, column + n) in units of what the type may lose, rows 3 to 5 of 9.
double worst(CacheType type, double step, std::int64_t column, std::int64_t n) {
  const Kernels& k = kernels();
  CacheRows cache(type, 9, width, 32);
  for (std::int64_t p = 0; p < 9; ++p) cache.store(k, p, random_row(static_cast<std::uint32_t>(p)).data());
  std::vector<float> scratch(static_cast<std::size_t>(3 * n));
  const CacheRows::View view = cache.read(k, 3, 3, column, n, scratch.data());
  double largest = 0;
  for (std::int64_t r = 0; r < 3; ++r) {
    const std::vector<float> row = random_row(static_cast<std::uint32_t>(3 + r));
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int64_t at = column + i;
      const auto block = row.begin() + at / 32 * 32;
      const double absmax = std::abs(
          *std::max_element(block, block + 32, [](float a, float b) { return std::abs(a) < std::abs(b); }));
      const double d = std::abs(view.rows[r * view.stride + i] - row[static_cast<std::size_t>(at)]);
      largest = std::max(largest, d / (absmax * step));
    }
  }
  return largest;
}

}  // namespace

TEST_CASE("stored rows come back within half a step of their type") {
  for (const auto& [column, n] : {std::pair{0, 96}, std::pair{32, 64}, std::pair{64, 32}}) {
    CHECK(worst(CacheType::f32, 1, column, n) == 0);
    CHECK(worst(CacheType::f16, 0x1p-11, column, n) <= 1);
    constexpr double half_scale =
        1 + 127 * 0x1p-10;  // up to 127 times the rounding of a scale in half precision
    const double q8 = worst(CacheType::q8_0, half_scale / 254, column, n);
    CHECK(q8 <= 1);
    CHECK(q8 > 0.5);  // a finer type than asked for would hide a mistake
    // Sixteen levels, the largest value at -8: what lies at the other end of the range may miss by a whole step.
    const double q4 = worst(CacheType::q4_0, half_scale / 8, column, n);
    CHECK(q4 <= 1);
    CHECK(q4 > 0.4);
  }
}

TEST_CASE("rows as bytes are the rows as floats") {
  const Kernels& k = kernels();
  for (const CacheType type : {CacheType::q8_0, CacheType::q4_0}) {
    CacheRows cache(type, 5, width, 32);
    for (std::int64_t p = 0; p < 5; ++p) cache.store(k, p, random_row(static_cast<std::uint32_t>(p)).data());
    std::vector<float> floats(3 * width);
    cache.read(k, 1, 3, 0, width, floats.data());
    std::vector<std::byte> scratch(static_cast<std::size_t>(3 * CacheRows::byte_scratch(width)));
    const CacheRows::ByteView view = cache.read_bytes(k, 1, 3, scratch.data());
    for (std::int64_t r = 0; r < 3; ++r) {
      std::vector<float> row(width);
      k.q8_0_to_float(view.rows + r * view.row_bytes, width, row.data());
      CHECK(std::equal(row.begin(), row.end(), floats.begin() + r * width));
    }
  }
}

TEST_CASE("bytes of a row, and types whose blocks the columns do not fit") {
  CHECK(CacheRows(CacheType::q8_0, 1, 576, 64).row_bytes() == 576 / 32 * 34);
  CHECK(CacheRows(CacheType::q4_0, 1, 576, 64).row_bytes() == 576 / 32 * 18);
  CHECK(CacheRows(CacheType::f16, 1, 576, 64).row_bytes() == 576 * 2);
  CHECK_THROWS_AS(CacheRows(CacheType::q8_0, 1, 96, 48), UsageError);
  CHECK_THROWS_AS(CacheRows(CacheType::q4_0, 1, 96, 48), UsageError);
  CHECK_NOTHROW(CacheRows(CacheType::f16, 1, 96, 48));
}

}  // namespace coterie
