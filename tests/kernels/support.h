// Shared by the kernel tests: random rows of every format, activations with odd values, and equality of bits.
#pragma once

#include "base/half.h"
#include "formats/formats.h"
#include "kernels/kernels.h"
#include "tests/kernels/amx_table.h"

#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace coterie::test {

inline std::vector<const Kernels*> runnable_kernels() {
  std::vector<const Kernels*> found;
  for (const Kernels* k : all_kernels())
    if (k->runnable()) found.push_back(k);
  if (amx_model_kernels() != nullptr) found.push_back(amx_model_kernels());
  return found;
}

inline const Kernels& generic_kernels() { return *all_kernels().back(); }

// Equal bits; one NaN is as good as another (their sign and payload are the hardware's).
inline bool same(float a, float b) { return (std::isnan(a) && std::isnan(b)) || bits_of(a) == bits_of(b); }
inline bool same(std::uint16_t a, std::uint16_t b) {
  return a == b || (std::isnan(half_to_float(a)) && std::isnan(half_to_float(b)));
}

// The first place where two results differ, or -1.
template <class T>
std::ptrdiff_t first_difference(const std::vector<T>& a, const std::vector<T>& b) {
  if (a.size() != b.size()) return 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!same(a[i], b[i])) return static_cast<std::ptrdiff_t>(i);
  return -1;
}

inline std::vector<float> gaussian(std::int64_t n, unsigned seed, float scale = 1.0F) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0F, scale);
  std::vector<float> x(static_cast<std::size_t>(n));
  for (float& v : x) v = normal(random);
  return x;
}

// Any bit pattern at all: subnormals, infinities and NaN included.
inline std::vector<float> any_floats(std::int64_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<float> x(static_cast<std::size_t>(n));
  for (float& v : x) v = float_of(static_cast<std::uint32_t>(random()));
  return x;
}

enum class Bytes { any, legal, moderate };  // moderate: legal, and no weight beyond 1e4

inline bool acceptable(const FormatInfo& f, const std::byte* block, Bytes kind) {
  if (kind == Bytes::any) return true;
  if (!f.legal(block, f.block_size)) return false;
  if (kind == Bytes::legal) return true;
  std::vector<float> w(static_cast<std::size_t>(f.block_size));
  f.decode(block, f.block_size, w.data());
  for (const float v : w)
    if (!(std::abs(v) < 1e4F)) return false;
  return true;
}

// Blocks of random bytes: every code occurs, the extreme ones too.
inline std::vector<std::byte> random_blocks(const FormatInfo& f, std::int64_t n_blocks, unsigned seed,
                                            Bytes kind) {
  std::mt19937 random(seed);
  const auto size = static_cast<std::size_t>(f.block_bytes);
  std::vector<std::byte> blocks(static_cast<std::size_t>(n_blocks) * size);
  for (std::size_t at = 0; at < blocks.size(); at += size) do
      for (std::size_t i = 0; i < size; ++i) blocks[at + i] = static_cast<std::byte>(random() & 255U);
    while (!acceptable(f, blocks.data() + at, kind));
  return blocks;
}

inline std::int64_t activation_bytes(const FormatInfo& f, std::int64_t n) {
  switch (f.activation) {
    case ActivationKind::act256:
      return n / 256 * 292;
    case ActivationKind::act32:
      return n / 32 * 40;
    default:
      return n * 4;
  }
}

// What `rows` takes for x, made by `k`.
inline std::vector<std::byte> activations(const FormatInfo& f, const Kernels& k,
                                          const std::vector<float>& x) {
  const auto n = static_cast<std::int64_t>(x.size());
  std::vector<std::byte> out(static_cast<std::size_t>(activation_bytes(f, n)));
  if (f.activation == ActivationKind::act256)
    k.quantize_act256(x.data(), n, out.data());
  else if (f.activation == ActivationKind::act32)
    k.quantize_act32(x.data(), n, out.data());
  else
    std::memcpy(out.data(), x.data(), out.size());
  return out;
}

// One product of n_rows rows of n weights with n_tokens inputs.
struct Product {
  const FormatInfo& format;
  std::int64_t n;
  int n_rows;
  int n_tokens;
  std::vector<std::byte> w;
  std::vector<std::byte> x;
  std::vector<int> token_of = {};  // empty: tokens in order

  std::vector<float> run(const Kernels& k) const {
    std::vector<float> y(static_cast<std::size_t>(n_tokens) * static_cast<std::size_t>(n_rows), -12345.0F);
    k.rows[format.index]({.w = w.data(),
                          .row_bytes = format.row_bytes(n),
                          .n_rows = n_rows,
                          .x = x.data(),
                          .x_bytes = activation_bytes(format, n),
                          .n_tokens = n_tokens,
                          .n = n,
                          .y = y.data(),
                          .y_stride = n_rows,
                          .token_of = token_of.empty() ? nullptr : token_of.data()});
    return y;
  }
};

}  // namespace coterie::test
