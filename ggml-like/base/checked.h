// Checked 64-bit arithmetic for sizes that come from a file. A wrapped product is how loaders get exploited, so a
// size is either right or absent.
#pragma once

#include <cstdint>
#include <optional>

namespace coterie {

inline std::optional<std::uint64_t> checked_add(std::uint64_t a, std::uint64_t b) {
  std::uint64_t r = 0;
  if (__builtin_add_overflow(a, b, &r)) return std::nullopt;
  return r;
}

inline std::optional<std::uint64_t> checked_mul(std::uint64_t a, std::uint64_t b) {
  std::uint64_t r = 0;
  if (__builtin_mul_overflow(a, b, &r)) return std::nullopt;
  return r;
}

}  // namespace coterie
