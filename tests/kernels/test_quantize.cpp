// Activations to bytes: the same on every ISA, and what formats/activation.h promises.
#include "formats/activation.h"
#include "tests/kernels/support.h"

#include <doctest/doctest.h>

namespace coterie::test {

namespace {

std::vector<float> odd_blocks() {
  std::vector<float> x = gaussian(256 * 40, 3);
  for (std::size_t i = 0; i < 256; ++i) {
    x[256 + i] = 0.0F;
    x[512 + i] = -0.0F;
    x[768 + i] *= 1e-42F;                          // subnormal: 127 / absmax overflows
    x[1024 + i] *= 1e-38F;                         // around the smallest normal number
    x[1280 + i] *= 1e38F;                          // near the largest
    x[1536 + i] = static_cast<float>(i) - 127.5F;  // halves: ties to even
  }
  x[2000] = INFINITY;
  x[2100] = -NAN;
  const std::vector<float> any = any_floats(256 * 60, 4);
  x.insert(x.end(), any.begin(), any.end());
  return x;
}

template <class Act>
bool same_block(const Act& a, const Act& b) {
  Act c = b;
  if (same(a.scale, b.scale)) c.scale = a.scale;
  return std::memcmp(&a, &c, sizeof(Act)) == 0;
}

template <class Act>
std::vector<Act> quantised(const std::vector<float>& x,
                           void (*quantize)(const float*, std::int64_t, std::byte*)) {
  std::vector<Act> out(x.size() / Act::block_size);
  quantize(x.data(), static_cast<std::int64_t>(x.size()), reinterpret_cast<std::byte*>(out.data()));
  return out;
}

template <class Act, class Member>
void compare_isas(Member quantize) {
  const std::vector<float> x = odd_blocks();
  const auto expected = quantised<Act>(x, generic_kernels().*quantize);
  for (const Kernels* k : runnable_kernels()) {
    const auto got = quantised<Act>(x, k->*quantize);
    for (std::size_t b = 0; b < got.size(); ++b) {
      INFO(std::string(k->isa), ", block ", b);
      CHECK(same_block(got[b], expected[b]));
    }
  }
}

}  // namespace

TEST_CASE("quantised activations are equal on every ISA") {
  compare_isas<Act256>(&Kernels::quantize_act256);
  compare_isas<Act32>(&Kernels::quantize_act32);
}

TEST_CASE("a quantised value is within half a step, and sums are the sums") {
  const std::vector<float> x = gaussian(256 * 8, 5);
  for (const Kernels* k : runnable_kernels()) {
    const auto blocks = quantised<Act256>(x, k->quantize_act256);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const Act256& a = blocks[i / 256];
      CHECK(std::abs(x[i] - a.scale * static_cast<float>(a.q[i % 256])) <= 0.5001F * a.scale);
    }
    for (const Act256& a : blocks)
      for (int g = 0; g < 16; ++g) {
        int sum = 0;
        for (int i = 0; i < 16; ++i) sum += a.q[16 * g + i];
        CHECK(sum == a.group_sums[g]);
      }
    for (const Act32& a : quantised<Act32>(x, k->quantize_act32)) {
      int sum = 0;
      for (const int q : a.q) sum += q;
      CHECK(sum == a.sum);
    }
  }
}

}  // namespace coterie::test
