// Products under --fast: near the usual ones within the rounding of BF16 or F32, and only where unquantised weights meet
// several inputs.
#include "device/onednn/fast.h"

#include "formats/formats.h"
#include "tests/kernels/support.h"

#include <doctest/doctest.h>

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace coterie::test {

namespace {

bool have_fast() { return fast_kernels() != nullptr; }

const FormatInfo& format(const char* name) { return *find_format(std::string_view(name)); }

Product make_product(const FormatInfo& f, std::int64_t n, int n_rows, int n_tokens) {
  Product p{f, n, n_rows, n_tokens, {}, activations(f, generic_kernels(), gaussian(n * n_tokens, 3))};
  p.w.resize(static_cast<std::size_t>(n_rows * f.row_bytes(n)));
  f.encode(gaussian(n * n_rows, 4).data(), nullptr, n * n_rows, p.w.data());
  return p;
}

// The largest difference from the usual kernels, over the square root of the row length: what products of two gaussians
// add up to.
double distance(const Product& p) {
  const std::vector<float> usual = p.run(kernels());
  const std::vector<float> fast = p.run(*fast_kernels());
  double worst = 0;
  for (std::size_t i = 0; i < usual.size(); ++i) {
    const double d = std::abs(static_cast<double>(fast[i]) - static_cast<double>(usual[i]));
    worst = std::isnan(d) ? INFINITY : std::max(worst, d);
  }
  return worst / std::sqrt(static_cast<double>(p.n));
}

// Rounding to BF16 moves an input by at most 2^-8 of itself, 0.42 of that as one deviation, and such a sum likewise: seven of
// them. Floats differ by the order of their sums alone.
double tolerance(const FormatInfo& f) { return std::string(f.name) == "BF16" ? 7 * 0.42 * 0x1p-8 : 1e-5; }

constexpr const char* unquantised[] = {"F32", "F16", "BF16"};

}  // namespace

TEST_CASE("fast products are near the usual ones" * doctest::skip(!have_fast())) {
  for (const char* name : unquantised)
    for (const std::int64_t n : {32, 576, 2049})
      for (const int n_rows : {1, 33, 128})
        for (const int n_tokens : {16, 19, 128}) {
          INFO(std::string(name), ": ", n, " columns, ", n_rows, " rows, ", n_tokens, " tokens");
          CHECK(distance(make_product(format(name), n, n_rows, n_tokens)) <= tolerance(format(name)));
        }
}

TEST_CASE("the tolerance above notices one wrong weight" * doctest::skip(!have_fast())) {
  for (const char* name : unquantised) {
    const FormatInfo& f = format(name);
    Product p = make_product(f, 576, 33, 19);
    const std::vector<float> usual = p.run(kernels());
    const std::size_t top =
        static_cast<std::size_t>(f.block_bytes) * 301 - 1;  // of the 301st weight: sign, exponent
    p.w[top] ^= std::byte{0x80};
    const std::vector<float> wrong = p.run(*fast_kernels());
    double worst = 0;
    for (std::size_t i = 0; i < usual.size(); ++i)
      worst = std::max(worst, std::abs(static_cast<double>(wrong[i]) - static_cast<double>(usual[i])));
    INFO(std::string(name));
    CHECK(worst / std::sqrt(576.0) > 2 * tolerance(f));
  }
}

TEST_CASE("fast products of scattered tokens are those of tokens in a row" * doctest::skip(!have_fast())) {
  for (const char* name : unquantised) {
    const Product all = make_product(format(name), 576, 33, 30);
    const auto token = static_cast<std::ptrdiff_t>(activation_bytes(all.format, all.n));
    Product scattered{all.format, all.n, 33, 17, all.w, all.x};
    Product in_a_row{all.format, all.n, 33, 17, all.w, {}};
    for (int t = 0; t < 17; ++t) {
      scattered.token_of.push_back(29 - t);
      const auto at = all.x.begin() + (29 - t) * token;
      in_a_row.x.insert(in_a_row.x.end(), at, at + token);
    }
    INFO(std::string(name));
    CHECK(first_difference(scattered.run(*fast_kernels()), in_a_row.run(*fast_kernels())) == -1);
  }
}

TEST_CASE("few tokens and quantised weights keep their bits under --fast" * doctest::skip(!have_fast())) {
  for (const char* name : unquantised) {
    const Product p = make_product(format(name), 576, 33, 3);
    CHECK(first_difference(p.run(*fast_kernels()), p.run(kernels())) == -1);
  }
  for (const FormatInfo& f : all_formats())
    if (f.index >= 0 && f.block_size > 1) CHECK((fast_kernels()->rows[f.index] == kernels().rows[f.index]));
}

TEST_CASE("fast products start no threads, and leave the number of threads as it was" *
          doctest::skip(!have_fast())) {
  const auto threads = [] {
    std::FILE* status = std::fopen("/proc/self/status", "r");
    char line[256];
    int n = 0;
    while (std::fgets(line, sizeof line, status) != nullptr)
      if (std::strncmp(line, "Threads:", 8) == 0) n = std::atoi(line + 8);
    std::fclose(status);
    return n;
  };
  omp_set_num_threads(5);
  const int before = threads();
  for (const char* name : unquantised) make_product(format(name), 2048, 128, 128).run(*fast_kernels());
  CHECK(threads() == before);
  CHECK(omp_get_max_threads() == 5);
}

TEST_CASE("what stands behind --fast is named, or what is missing") {
  CHECK(fast_library().find(have_fast() ? "oneDNN " : "libdnnl-dev") != std::string::npos);
}

}  // namespace coterie::test
