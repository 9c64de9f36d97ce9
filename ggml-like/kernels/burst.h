// Arithmetic for its own sake: how fast an instruction set multiplies when nothing has to be loaded. What the
// machine probe of the benchmarks divides by.
#pragma once

#include "base/simd.h"

namespace coterie {

// Chains that do not wait for each other, as many as hide the latency of a multiply-add.
constexpr int burst_chains = 12;

// Multiply-adds of floats, counted as two operations each.
template <class Isa>
std::int64_t burst_floats(std::int64_t rounds) {
  using Batch = typename Isa::Batch;
  Batch acc[burst_chains];
  for (Batch& a : acc) a = Batch(0.0F);
  Batch x(1.0F);
  for (std::int64_t i = 0; i < rounds; ++i)
    for (Batch& a : acc) {
      a = Isa::fma(x, x, a);
      touch(a.data);
    }
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
