// Shared by the format tests: random blocks, and bits of floats.
#pragma once

#include "formats/list.h"
#include "tests/support/golden.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

namespace coterie::test {

// False, with a line that says so, where the compact golden set lacks a file; the full set lacks none.
inline bool have_golden(const std::string& relative) {
  if (full_golden() || std::filesystem::exists(golden(relative))) return true;
  std::printf("skipped: %s is not in the compact golden set\n", relative.c_str());
  return false;
}

// Any bytes at all.
template <class F>
typename F::Block random_block(std::mt19937& random) {
  std::uint8_t bytes[sizeof(typename F::Block)];
  for (std::uint8_t& b : bytes) b = static_cast<std::uint8_t>(random());
  typename F::Block block;
  std::memcpy(&block, bytes, sizeof block);
  return block;
}

// Random codes and scales whose weights are of a size that a model may have.
template <class F>
typename F::Block sound_block(std::mt19937& random) {
  for (;;) {
    typename F::Block block = random_block<F>(random);
    if constexpr (requires { block.min; })
      block.min = block.scale;  // or the smaller of the two would not matter
    float w[F::block_size];
    F::decode(block, w);
    float top = 0;
    for (const float v : w) top = std::isfinite(v) ? std::max(top, std::fabs(v)) : INFINITY;
    if (F::legal(block) && top > 1e-4F && top < 1e4F) return block;
  }
}

// The activations that one block meets, from gaussian values.
template <class F>
std::vector<typename F::Activation> gaussian_activations(std::mt19937& random) {
  using A = typename F::Activation;
  std::normal_distribution<float> normal;
  std::vector<float> x(F::block_size);
  for (float& v : x) v = normal(random);
  std::vector<A> out(x.size() / A::block_size);
  for (std::size_t i = 0; i < out.size(); ++i) {
    if constexpr (A::block_size == 1)
      out[i].value = x[i];
    else
      quantize_block(&x[i * A::block_size], out[i]);
  }
  return out;
}

// One activation as the contract means it, exactly.
inline double value_of(const ActF32* x, int i) { return static_cast<double>(x[i].value); }
template <class A>
double value_of(const A* x, int i) {
  const A& a = x[i / A::block_size];
  return static_cast<double>(a.scale) * a.q[i % A::block_size];
}

}  // namespace coterie::test
