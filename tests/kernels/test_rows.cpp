// Every format on every ISA this machine can run: equal bits, and near plain arithmetic on the decoded
// weights.
#include "tests/kernels/support.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

namespace coterie::test {

namespace {

std::vector<const FormatInfo*> weight_formats() {
  std::vector<const FormatInfo*> found;
  for (const FormatInfo& f : all_formats())
    if (f.index >= 0) found.push_back(&f);
  return found;
}

// Activations among which some blocks are zero, subnormal, or hold an infinity or a NaN.
std::vector<float> odd_activations(std::int64_t n, unsigned seed) {
  std::vector<float> x = gaussian(n, seed);
  std::mt19937 random(seed + 1);
  for (std::size_t at = 0; at < x.size(); at += 32) {
    const unsigned kind = random() % 16;
    const std::size_t end = std::min(at + 32, x.size());
    if (kind == 0)
      std::fill(x.begin() + static_cast<std::ptrdiff_t>(at), x.begin() + static_cast<std::ptrdiff_t>(end),
                0.0F);
    if (kind == 1)
      for (std::size_t i = at; i < end; ++i) x[i] *= 1e-42F;
    if (kind == 2) x[at + random() % (end - at)] = INFINITY;
    if (kind == 3) x[at + random() % (end - at)] = NAN;
  }
  return x;
}

Product make_product(const FormatInfo& f, std::int64_t n_blocks, int n_rows, int n_tokens, Bytes kind) {
  const std::int64_t n = n_blocks * f.block_size;
  const auto seed = static_cast<unsigned>(n_blocks * 1000 + n_rows * 20 + n_tokens);
  const std::vector<float> x =
      kind == Bytes::any ? odd_activations(n * n_tokens, seed) : gaussian(n * n_tokens, seed);
  return {f,
          n,
          n_rows,
          n_tokens,
          random_blocks(f, n_blocks * n_rows, seed, kind),
          activations(f, generic_kernels(), x)};
}

// NVFP4 has 64 weights to two activation blocks; every other row length is a whole number of both.
void compare_isas(const FormatInfo& f, std::int64_t n_blocks, int n_rows, int n_tokens, Bytes kind) {
  const Product p = make_product(f, n_blocks, n_rows, n_tokens, kind);
  const std::vector<float> expected = p.run(generic_kernels());
  for (const Kernels* k : runnable_kernels()) {
    INFO(std::string(f.name), " on ", std::string(k->isa), ": ", n_blocks, " blocks, ", n_rows, " rows, ",
         n_tokens, " tokens");
    CHECK(first_difference(p.run(*k), expected) == -1);
  }
}

// y in double from decoded weights and dequantised activations, and the sum of the terms' sizes.
struct Expected {
  double value;
  double magnitude;
};

float activation(const FormatInfo& f, const std::byte* x, std::int64_t i) {
  const int block = f.activation == ActivationKind::act256 ? 256 : 32;
  const int bytes = f.activation == ActivationKind::act256 ? 292 : 40;
  const int q_at = f.activation == ActivationKind::act256 ? 4 : 8;
  float value = 0;
  if (f.activation == ActivationKind::f32) {
    std::memcpy(&value, x + 4 * i, 4);
    return value;
  }
  std::memcpy(&value, x + i / block * bytes, 4);
  return value * static_cast<float>(static_cast<std::int8_t>(x[i / block * bytes + q_at + i % block]));
}

Expected plain_dot(const Product& p, int row, int token) {
  std::vector<float> w(static_cast<std::size_t>(p.n));
  p.format.decode(p.w.data() + row * p.format.row_bytes(p.n), p.n, w.data());
  const std::byte* x = p.x.data() + token * activation_bytes(p.format, p.n);
  Expected e{0, 0};
  for (std::int64_t i = 0; i < p.n; ++i) {
    const double term =
        static_cast<double>(w[static_cast<std::size_t>(i)]) * static_cast<double>(activation(p.format, x, i));
    e.value += term;
    e.magnitude += std::abs(term);
  }
  return e;
}

// Numbers made without the C library, whose logarithms differ between processors.
std::vector<float> even_activations(std::int64_t n) {
  std::mt19937 random(11);
  std::vector<float> x(static_cast<std::size_t>(n));
  for (float& v : x) v = (static_cast<float>(random() & 0xffffU) - 32768.0F) * 0x1p-14F;
  return x;
}

std::uint64_t hash_of(const std::vector<float>& y, std::uint64_t hash) {
  for (const float v : y) hash = (hash ^ bits_of(v)) * 0x100000001b3U;  // FNV-1a, by words
  return hash;
}

constexpr double tolerance = 2e-6;

double worst_error(const Product& p, const Kernels& k) {
  const std::vector<float> y = p.run(k);
  double worst = 0;
  for (int t = 0; t < p.n_tokens; ++t)
    for (int r = 0; r < p.n_rows; ++r) {
      const Expected e = plain_dot(p, r, t);
      const double got = static_cast<double>(y[static_cast<std::size_t>(t * p.n_rows + r)]);
      const double error = std::abs(got - e.value) / (e.magnitude + 1e-30);
      worst = std::isnan(error) ? INFINITY : std::max(worst, error);
    }
  return worst;
}

}  // namespace

TEST_CASE("rows give the same bits on every ISA, for every shape") {
  for (const FormatInfo* f : weight_formats()) {
    const int unit = f->block_size == 1 ? 5 : 1;  // float rows: lengths off the 32 lanes
    for (const int n_blocks : {1, 2, 3, 7, 8, 16})
      for (const int n_rows : {1, 3, 16, 17})
        for (const int n_tokens : {1, 2, 3, 8})
          compare_isas(*f, n_blocks * unit, n_rows, n_tokens, Bytes::legal);
    for (const int n_blocks : {28, 57}) {
      compare_isas(*f, n_blocks * unit, 64, 1, Bytes::legal);
      compare_isas(*f, n_blocks * unit, 17, 5, Bytes::legal);
      compare_isas(*f, n_blocks * unit, 3, 17, Bytes::legal);
    }
    compare_isas(*f, 300, 9, 1, Bytes::legal);   // more than one piece of a tile (kernels/x86/tile.h)
    compare_isas(*f, 141, 27, 1, Bytes::legal);  // long rows side by side (kernels/x86/stream.h), an odd end
    // Panels (kernels/x86/panel.h): every number of tokens that a tile may have left, and more tokens than one
    // unpacking serves.
    for (const int n_tokens : {4, 6, 7, 9, 13, 20}) compare_isas(*f, 11 * unit, 19, n_tokens, Bytes::legal);
    compare_isas(*f, 3 * unit, 33, 131, Bytes::legal);
    compare_isas(*f, 9 * unit, 2, 260, Bytes::legal);
  }
}

TEST_CASE("rows have the bits that they had on the first machine") {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const FormatInfo* f : weight_formats()) {
    const std::int64_t n = (f->block_size == 1 ? 333 : 9) * f->block_size;
    const std::vector<float> x = even_activations(2 * n);
    const Product p{*f,
                    n,
                    6,
                    2,
                    random_blocks(*f, 6 * n / f->block_size, 12, Bytes::moderate),
                    activations(*f, generic_kernels(), x)};
    hash = hash_of(p.run(kernels()), hash);
  }
  CHECK(hash == 989521007329250419U);
  std::vector<float> y = {1.0F, 2.0F};
  const std::uint64_t before = hash_of(y, 1);
  y[0] = float_of(bits_of(y[0]) ^ 1U);
  CHECK(hash_of(y, 1) != before);
}

TEST_CASE("scales and activations that are no numbers reach the same results on every ISA") {
  for (const FormatInfo* f : weight_formats())
    for (const int n_tokens : {1, 4}) {
      compare_isas(*f, f->block_size == 1 ? 77 : 3, 40, n_tokens, Bytes::any);
      compare_isas(*f, f->block_size == 1 ? 320 : 9, 40, n_tokens, Bytes::any);
      compare_isas(*f, f->block_size == 1 ? 320 : 9, 40, 10 * n_tokens, Bytes::any);
    }
}

TEST_CASE("rows agree with plain double arithmetic on the decoded weights") {
  for (const FormatInfo* f : weight_formats()) {
    const Product p = make_product(*f, f->block_size == 1 ? 500 : 7, 9, 2, Bytes::moderate);
    for (const Kernels* k : runnable_kernels()) {
      INFO(std::string(f->name), " on ", std::string(k->isa));
      CHECK(worst_error(p, *k) <= tolerance);
    }
  }
}

TEST_CASE("the tolerance above notices one wrong code in a row") {
  for (const char* name : {"Q4_0", "Q8_0", "Q4_K", "Q6_K"}) {
    const FormatInfo& f = *find_format(std::string_view(name));
    const std::int64_t n = 7 * f.block_size;
    Product p{f, n, 1, 1, {}, activations(f, generic_kernels(), gaussian(n, 1))};
    p.w.resize(static_cast<std::size_t>(f.row_bytes(n)));
    f.encode(gaussian(n, 2).data(), nullptr, n, p.w.data());
    const Expected expected = plain_dot(p, 0, 0);
    p.w[static_cast<std::size_t>(f.block_bytes) + 16] ^= std::byte{0x80};
    const double got = static_cast<double>(p.run(generic_kernels())[0]);
    INFO(std::string(name));
    CHECK(std::abs(got - expected.value) > 2 * tolerance * expected.magnitude);
  }
}

TEST_CASE("the comparison of bits notices one flipped bit") {
  const Product p = make_product(*find_format(std::string_view("Q8_0")), 8, 17, 3, Bytes::legal);
  const std::vector<float> expected = p.run(generic_kernels());
  std::vector<float> flipped = p.run(kernels());
  CHECK(first_difference(flipped, expected) == -1);
  flipped[20] = float_of(bits_of(flipped[20]) ^ 1U);
  CHECK(first_difference(flipped, expected) == 20);
}

TEST_CASE("a result does not depend on the rows and tokens around it") {
  for (const FormatInfo* f : weight_formats()) {
    const Product all = make_product(*f, f->block_size == 1 ? 100 : 5, 11, 9, Bytes::legal);
    Product one{*f, all.n, 1, 1, {}, {}};
    const auto row = static_cast<std::ptrdiff_t>(f->row_bytes(all.n));
    const auto token = static_cast<std::ptrdiff_t>(activation_bytes(*f, all.n));
    one.w.assign(all.w.begin() + 9 * row, all.w.begin() + 10 * row);
    one.x.assign(all.x.begin() + 6 * token, all.x.begin() + 7 * token);
    for (const Kernels* k : runnable_kernels()) {
      INFO(std::string(f->name), " on ", std::string(k->isa));
      CHECK(same(all.run(*k)[6 * 11 + 9], one.run(*k)[0]));
    }
  }
}

TEST_CASE("scattered tokens give what the same tokens give in a row") {
  for (const FormatInfo* f : weight_formats())
    for (const int n_tokens : {1, 3, 21}) {
      const Product all = make_product(*f, f->block_size == 1 ? 100 : 5, 18, 30, Bytes::legal);
      const auto token = static_cast<std::ptrdiff_t>(activation_bytes(*f, all.n));
      Product scattered{*f, all.n, 18, n_tokens, all.w, all.x};
      Product in_a_row{*f, all.n, 18, n_tokens, all.w, {}};
      for (int t = 0; t < n_tokens; ++t) {
        scattered.token_of.push_back(29 - t);
        const auto at = all.x.begin() + (29 - t) * token;
        in_a_row.x.insert(in_a_row.x.end(), at, at + token);
      }
      for (const Kernels* k : runnable_kernels()) {
        INFO(std::string(f->name), " on ", std::string(k->isa), ", ", n_tokens, " tokens");
        CHECK(first_difference(scattered.run(*k), in_a_row.run(*k)) == -1);
      }
    }
}

}  // namespace coterie::test
