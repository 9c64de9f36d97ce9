#include "tests/support/sha256.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

namespace coterie::test {

namespace {

// The first 32 fractional bits of the square (power 0.5) or cube roots of the first n primes: FIPS
// 180-4, 4.2.2, 5.3.3.
template <std::size_t n>
std::array<std::uint32_t, n> root_bits(long double power) {
  std::array<std::uint32_t, n> bits{};
  std::size_t found = 0;
  for (std::uint32_t candidate = 2; found < n; ++candidate) {
    bool prime = true;
    for (std::uint32_t d = 2; d * d <= candidate; ++d) prime = prime && candidate % d != 0;
    if (!prime) continue;
    const long double root = std::pow(static_cast<long double>(candidate), power);
    bits[found++] = static_cast<std::uint32_t>((root - std::floor(root)) * 0x1p32L);
  }
  return bits;
}

using State = std::array<std::uint32_t, 8>;

void absorb(State& state, const std::byte* block) {
  static const std::array<std::uint32_t, 64> k = root_bits<64>(1.0L / 3);
  std::array<std::uint32_t, 64> w{};
  for (std::size_t i = 0; i < 64; ++i) w[i / 4] = w[i / 4] << 8 | std::to_integer<std::uint32_t>(block[i]);
  for (std::size_t i = 16; i < 64; ++i) {
    const std::uint32_t a = w[i - 15], b = w[i - 2];
    w[i] = w[i - 16] + (std::rotr(a, 7) ^ std::rotr(a, 18) ^ a >> 3) + w[i - 7] +
           (std::rotr(b, 17) ^ std::rotr(b, 19) ^ b >> 10);
  }
  State s = state;
  for (std::size_t i = 0; i < 64; ++i) {
    const std::uint32_t e = s[4], a = s[0];
    const std::uint32_t one = s[7] + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) +
                              ((e & s[5]) ^ (~e & s[6])) + k[i] + w[i];
    const std::uint32_t two =
        (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) + ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
    s = {one + two, s[0], s[1], s[2], s[3] + one, s[4], s[5], s[6]};
  }
  for (std::size_t i = 0; i < 8; ++i) state[i] += s[i];
}

}  // namespace

std::string sha256(std::span<const std::byte> bytes) {
  State state = root_bits<8>(0.5L);
  std::size_t at = 0;
  for (; at + 64 <= bytes.size(); at += 64) absorb(state, bytes.data() + at);
  std::vector<std::byte> tail(bytes.begin() + static_cast<std::ptrdiff_t>(at), bytes.end());
  tail.push_back(std::byte{0x80});
  while (tail.size() % 64 != 56) tail.push_back(std::byte{0});
  const std::uint64_t bits = bytes.size() * 8;
  for (int shift = 56; shift >= 0; shift -= 8) tail.push_back(static_cast<std::byte>(bits >> shift));
  for (std::size_t i = 0; i < tail.size(); i += 64) absorb(state, tail.data() + i);

  std::string hex;
  for (const std::uint32_t word : state) {
    char text[9];
    std::snprintf(text, sizeof text, "%08x", word);
    hex += text;
  }
  return hex;
}

}  // namespace coterie::test
