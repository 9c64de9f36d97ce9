// Arithmetic for its own sake: how fast an instruction set multiplies when nothing has to be loaded. What the
// machine probe of the benchmarks divides by.
#pragma once

#include "base/simd.h"

#include <utility>

namespace coterie {

// Chains that do not wait for each other, as many as hide the latency of a multiply-add.
constexpr int burst_chains = 12;

// f(sum) for the sum of every chain. The indices are constants, so that each sum keeps a register of its own: in a loop
// the compiler leaves the array in memory, and storing it is what would be measured.
template <class Sum, class F, std::size_t... chain>
COTERIE_INLINE void each_chain(Sum* sums, F f, std::index_sequence<chain...> /*all*/) {
  (f(sums[chain]), ...);
}
template <class Sum, class F>
COTERIE_INLINE void each_chain(Sum* sums, F f) {
  each_chain(sums, f, std::make_index_sequence<burst_chains>());
}

// Multiply-adds of floats, counted as two operations each.
template <class Isa>
std::int64_t burst_floats(std::int64_t rounds) {
  using Batch = typename Isa::Batch;
  Batch sums[burst_chains];
  each_chain(
      sums, [](Batch & s) __attribute__((always_inline)) { s = Batch(0.0F); });
  const Batch x(1.0F);
  const auto step = [&](Batch & s) __attribute__((always_inline)) {
    s = Isa::fma(x, x, s);
    touch(s.data);
  };
  for (std::int64_t i = 0; i < rounds; ++i) each_chain(sums, step);
  return rounds * burst_chains * 2 * static_cast<std::int64_t>(Batch::size);
}

// Products of bytes summed in 32 bits, by the instructions that the block kernels of this ISA use.
template <class Isa>
struct BurstBytes {
  static std::int64_t run(std::int64_t rounds) {  // generic: whatever the compiler makes of it
    constexpr int n = 256;
    std::int8_t a[n];
    std::int8_t b[n];
    for (int i = 0; i < n; ++i) a[i] = b[i] = static_cast<std::int8_t>(i & 15);
    std::int32_t sum = 0;
    for (std::int64_t round = 0; round < rounds; ++round) {
      asm volatile("" : : "r"(a), "r"(b) : "memory");
      for (int i = 0; i < n; ++i) sum += a[i] * b[i];
      asm volatile("" : "+r"(sum));
    }
    return rounds * n * 2;
  }
};

}  // namespace coterie
