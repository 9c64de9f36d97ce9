// Vector operations: equal bits on every ISA, and close to the same thing in double.
#include "base/errors.h"
#include "base/simd.h"
#include "tests/kernels/support.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>

namespace coterie::test {

namespace {

constexpr int lengths[] = {1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 64, 100, 576, 1000};

using Floats = std::vector<float>;
struct Operation {
  const char* name;
  std::function<Floats(const Kernels&, const Floats& a, const Floats& b)> run;
};

std::int64_t size(const Floats& x) { return static_cast<std::int64_t>(x.size()); }

std::vector<std::uint16_t> halves(const Floats& x) {
  std::vector<std::uint16_t> h;
  for (const float v : x) h.push_back(static_cast<std::uint16_t>(bits_of(v) >> 7));
  return h;
}

const Operation operations[] = {
    {"dot", [](const Kernels& k, const Floats& a,
               const Floats& b) { return Floats{k.dot(a.data(), b.data(), size(a))}; }},
    {"sum",
     [](const Kernels& k, const Floats& a, const Floats&) { return Floats{k.sum(a.data(), size(a))}; }},
    {"max",
     [](const Kernels& k, const Floats& a, const Floats&) { return Floats{k.max(a.data(), size(a))}; }},
    {"rms_norm",
     [](const Kernels& k, const Floats& a, Floats b) {
       k.rms_norm(a.data(), b.data(), size(a), 1e-6F, b.data());
       return b;
     }},
    {"swiglu",
     [](const Kernels& k, const Floats& a, Floats b) {
       k.swiglu(a.data(), b.data(), size(a), b.data());
       return b;
     }},
    {"add",
     [](const Kernels& k, const Floats& a, Floats b) {
       k.add(a.data(), size(a), b.data());
       return b;
     }},
    {"axpy",
     [](const Kernels& k, const Floats& a, Floats b) {
       k.axpy(0.7F, a.data(), size(a), b.data());
       return b;
     }},
    {"scale",
     [](const Kernels& k, const Floats&, Floats b) {
       k.scale(0.3F, size(b), b.data());
       return b;
     }},
    {"exp_minus",
     [](const Kernels& k, const Floats&, Floats b) {
       k.exp_minus(1.5F, size(b), b.data());
       return b;
     }},
    {"sigmoid",
     [](const Kernels& k, const Floats&, Floats b) {
       k.sigmoid(size(b), b.data());
       return b;
     }},
    {"half_to_float",
     [](const Kernels& k, const Floats& a, Floats b) {
       k.half_to_float(halves(a).data(), size(a), b.data());
       return b;
     }},
    {"float_to_half",
     [](const Kernels& k, const Floats& a, const Floats&) {
       std::vector<std::uint16_t> h(a.size());
       k.float_to_half(a.data(), size(a), h.data());
       Floats y;
       for (const std::uint16_t v : h) y.push_back(half_to_float(v));
       return y;
     }},
    {"q8_0_to_float",
     [](const Kernels& k, const Floats& a, const Floats&) {
       const std::int64_t n = size(a) / 32 * 32;
       std::vector<std::byte> blocks(static_cast<std::size_t>(n / 32 * 34));
       k.encode[find_format("Q8_0")->index](a.data(), nullptr, n, blocks.data());
       Floats y(static_cast<std::size_t>(n));
       k.q8_0_to_float(blocks.data(), n, y.data());
       return y;
     }},
    {"q4_0_to_q8_0",
     [](const Kernels& k, const Floats& a, const Floats&) {
       const std::int64_t n = size(a) / 32 * 32;
       std::vector<std::byte> blocks(static_cast<std::size_t>(n / 32 * 18)),
           wide(static_cast<std::size_t>(n / 32 * 34));
       k.encode[find_format("Q4_0")->index](a.data(), nullptr, n, blocks.data());
       k.q4_0_to_q8_0(blocks.data(), n, wide.data());
       Floats y(static_cast<std::size_t>(n));
       k.q8_0_to_float(wide.data(), n, y.data());
       return y;
     }},
    {"softmax",
     [](const Kernels& k, const Floats& a, Floats b) {
       SoftmaxState r;
       Floats y = a;
       y.push_back(k.softmax(y.data(), size(a), 0.3F, r));
       y.push_back(k.softmax(b.data(), size(b), 0.3F, r));
       y.insert(y.end(), b.begin(), b.end());
       y.push_back(r.max);
       y.push_back(r.sum);
       return y;
     }},
    {"transpose",
     [](const Kernels& k, const Floats& a, const Floats&) {
       Floats y;
       for (const int rows : {1, 5, 16, 40}) {
         const int cols = static_cast<int>(size(a)) / rows;
         Floats turned(static_cast<std::size_t>(rows * cols));
         k.transpose(a.data(), cols, rows, cols, turned.data(), rows);
         y.insert(y.end(), turned.begin(), turned.end());
       }
       return y;
     }},
    {"outer",
     [](const Kernels& k, const Floats& a, const Floats& b) {
       const int n =
           static_cast<int>(size(a));  // [2, n / 2] x [n / 2, 2 columns], and one row against all columns
       Floats y(static_cast<std::size_t>(n) + 4);
       k.outer(a.data(), n / 2, 2, b.data(), 2, n / 2, 2, y.data(), 2);
       k.outer(a.data(), 1, 1, b.data(), n, 1, n, y.data() + 4, n);
       return y;
     }},
};

// Distance in units in the last place of the expected value (of the smallest normal number below it).
double ulps(float got, double expected) {
  const double unit = std::ldexp(1.0, std::max(std::ilogb(static_cast<float>(expected)), -126) - 23);
  return std::abs(static_cast<double>(got) - expected) / unit;
}

template <class Run, class Exact>
double worst_ulps(float from, float to, Run run, Exact exact) {
  double worst = 0;
  for (const Kernels* k : runnable_kernels()) {
    Floats x;
    for (int i = 0; i <= 20000; ++i) x.push_back(from + (to - from) * static_cast<float>(i) / 20000.0F);
    Floats y = x;
    run(*k, y);
    for (std::size_t i = 0; i < x.size(); ++i)
      worst = std::max(worst, ulps(y[i], exact(static_cast<double>(x[i]))));
  }
  return worst;
}

}  // namespace

TEST_CASE("every operation gives the same bits on every ISA") {
  for (const Operation& op : operations)
    for (const int n : lengths)
      for (const bool odd : {false, true}) {
        const auto seed = static_cast<unsigned>(n);
        const Floats a = odd ? any_floats(n, seed) : gaussian(n, seed, 3.0F);
        const Floats b = odd ? any_floats(n, seed + 1) : gaussian(n, seed + 1, 30.0F);
        const Floats expected = op.run(generic_kernels(), a, b);
        for (const Kernels* k : runnable_kernels()) {
          INFO(std::string(op.name), " on ", std::string(k->isa), ", n = ", n, odd ? ", any bits" : "");
          CHECK(first_difference(op.run(*k, a, b), expected) == -1);
        }
      }
}

TEST_CASE("rows become columns") {
  for (const Kernels* k : runnable_kernels())
    for (const auto& [rows, cols] : {std::pair{33, 50}, std::pair{64, 16}, std::pair{3, 70}}) {
      const Floats x = gaussian(rows * cols, 5);
      Floats y(x.size());
      k->transpose(x.data(), cols, rows, cols, y.data(), rows);
      int wrong = 0;
      for (int r = 0; r < rows; ++r)
        for (int c = 0; c < cols; ++c)
          if (y[static_cast<std::size_t>(c * rows + r)] != x[static_cast<std::size_t>(r * cols + c)]) ++wrong;
      CHECK(wrong == 0);
    }
}

TEST_CASE("exp, sigmoid and silu are within their stated units in the last place") {
  const auto exp_all = [](const Kernels& k, Floats& y) { k.exp_minus(0.0F, size(y), y.data()); };
  CHECK(worst_ulps(-87.0F, 88.7F, exp_all, [](double x) { return std::exp(x); }) <= 2.0);
  CHECK(worst_ulps(-104.0F, -87.0F, exp_all, [](double x) { return std::exp(x); }) <= 2.0);
  CHECK(worst_ulps(-0.01F, 0.01F, exp_all, [](double x) { return std::exp(x); }) <= 2.0);
  const auto sigmoid = [](const Kernels& k, Floats& y) { k.sigmoid(size(y), y.data()); };
  CHECK(worst_ulps(-85.0F, 100.0F, sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }) <= 4.0);
  const auto silu = [](const Kernels& k, Floats& y) {
    const Floats ones(y.size(), 1.0F);
    k.swiglu(y.data(), ones.data(), size(y), y.data());
  };
  CHECK(worst_ulps(-85.0F, 100.0F, silu, [](double x) { return x / (1 + std::exp(-x)); }) <= 4.0);
  // The twin: an error of one part in a million breaks the same bound.
  CHECK(worst_ulps(-87.0F, 88.7F, exp_all, [](double x) { return std::exp(x) * (1 + 1e-6); }) > 4.0);
}

TEST_CASE("exp ends in 0 and infinity, and keeps NaN") {
  for (const Kernels* k : runnable_kernels()) {
    Floats y = {-INFINITY, -1e30F, -200.0F, 0.0F, 88.8F, 1e30F, INFINITY, NAN};
    k->exp_minus(0.0F, size(y), y.data());
    const Floats expected = {0.0F, 0.0F, 0.0F, 1.0F, INFINITY, INFINITY, INFINITY, NAN};
    CHECK(first_difference(y, expected) == -1);
  }
}

TEST_CASE("reductions agree with double, and their bound notices a dropped element") {
  for (const Kernels* k : runnable_kernels()) {
    const Floats a = gaussian(1000, 1);
    const Floats b = gaussian(1000, 2);
    double dot = 0;
    double magnitude = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      dot += static_cast<double>(a[i]) * static_cast<double>(b[i]);
      magnitude += std::abs(static_cast<double>(a[i]) * static_cast<double>(b[i]));
    }
    CHECK(std::abs(static_cast<double>(k->dot(a.data(), b.data(), 1000)) - dot) <= 1e-7 * magnitude);
    CHECK(std::abs(static_cast<double>(k->dot(a.data(), b.data(), 999)) - dot) > 1e-7 * magnitude);
    CHECK(k->max(a.data(), 1000) == *std::max_element(a.begin(), a.end()));
    CHECK(k->max(a.data(), 0) == -INFINITY);
    CHECK(k->sum(a.data(), 0) == 0.0F);
  }
}

TEST_CASE("the generic fma rounds once, as the instruction does") {
  const auto check = [](const Floats& a, const Floats& b, const Floats& c) {
    using Batch = Generic::Batch;
    alignas(64) float y[Batch::size];
    int wrong = 0;
    for (std::size_t i = 0; i + Batch::size <= a.size(); i += Batch::size) {
      Generic::fma(Batch::load_unaligned(&a[i]), Batch::load_unaligned(&b[i]), Batch::load_unaligned(&c[i]))
          .store_aligned(y);
      for (std::size_t j = 0; j < Batch::size; ++j)
        wrong += same(y[j], std::fma(a[i + j], b[i + j], c[i + j])) ? 0 : 1;
    }
    return wrong;
  };
  const int n = 200000;
  CHECK(check(any_floats(n, 1), any_floats(n, 2), any_floats(n, 3)) == 0);
  CHECK(check(gaussian(n, 1), gaussian(n, 2), gaussian(n, 3)) == 0);
  // Sums that a first rounding to double puts exactly half-way between two floats, from either side, and
  // subnormal results.
  Floats a;
  Floats b;
  Floats c;
  std::mt19937 random(9);
  for (int i = 0; i < n; ++i) {
    const float sign = random() % 2 == 0 ? 1.0F : -1.0F;
    const float tiny = std::ldexp(sign, -static_cast<int>(random() % 60));
    const float odd = 1.0F + std::ldexp(static_cast<float>(random() % 16), -23);
    const int shift = static_cast<int>(random() % 4) * 40 - 80;
    a.push_back(std::ldexp(odd, -24 + shift));
    b.push_back(random() % 2 == 0 ? 1.0F : odd);
    c.push_back(std::ldexp(odd, shift) * (random() % 3 == 0 ? tiny : 1.0F));
  }
  CHECK(check(a, b, c) == 0);
  for (float& v : a) v *= 0x1p-60F;
  for (float& v : c) v *= 0x1p-60F;
  CHECK(check(a, b, c) == 0);
}

TEST_CASE("an unknown or impossible instruction set is a usage error that names the possible ones") {
  CHECK(std::string(select_kernels(nullptr).isa) == runnable_kernels().front()->isa);
  CHECK(std::string(select_kernels("").isa) == runnable_kernels().front()->isa);
  for (const Kernels* k : all_kernels())
    if (k->runnable()) CHECK(&select_kernels(k->isa) == k);
  CHECK_THROWS_WITH_AS(select_kernels("sse9"), doctest::Contains("COTERIE_ISA: found sse9, expected"),
                       UsageError);
  CHECK_THROWS_WITH_AS(select_kernels("sse9"), doctest::Contains("generic"), UsageError);
}

}  // namespace coterie::test
