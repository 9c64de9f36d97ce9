// tests/formats/test_codebook.cpp: the search over grid points against plain search in double, and what the encoders of
// codebook, ternary and e2m1 formats make of it.
#include "base/json.h"
#include "convert/safetensors.h"
#include "formats/codebook_fit.h"
#include "formats/formats.h"
#include "tests/formats/support.h"
#include "tests/support/scratch_dir.h"

#include <doctest/doctest.h>

#include <string>

namespace coterie::test {

namespace {

std::vector<float> gaussian(std::mt19937& random, std::size_t n, float deviation = 1.0F) {
  std::vector<float> x(n);
  for (float& v : x) v = std::normal_distribution<float>(0.0F, deviation)(random);
  return x;
}

std::vector<float> log_normal(std::mt19937& random, std::size_t n) {
  std::vector<float> x = gaussian(random, n);
  for (float& v : x) v = std::exp(v);
  return x;
}

// The weighted squared error of the vector as point `index` under scale t, with the sign that costs least turned.
double plain_error(const Codebook& book, int index, const std::vector<float>& x, const std::vector<float>& w,
                   double t, bool one_flip) {
  double error = 0, loss = 1e30;
  for (int j = 0; j < book.size; ++j) {
    const unsigned code = book.points[index];
    const float level = book.size == 4 ? book.first[code >> (4 * j) & 15] : book.first[code >> (2 * j) & 3];
    const double g = static_cast<double>(level), v = static_cast<double>(x[static_cast<std::size_t>(j)]);
    const double weight = static_cast<double>(w[static_cast<std::size_t>(j)]);
    error += weight * (v - t * g) * (v - t * g);
    loss = std::min(loss, 4 * weight * v * t * g);
  }
  return error + (one_flip ? loss : 0);
}

double plain_least(const Codebook& book, const std::vector<float>& x, const std::vector<float>& w, double t,
                   bool one_flip) {
  double least = 1e30;
  for (int i = 0; i <= book.blocks->indices[16 * book.blocks->n - 1]; ++i)
    least = std::min(least, plain_error(book, i, x, w, t, one_flip));
  return least;
}

std::vector<std::byte> encode(const FormatInfo& f, const std::vector<float>& x, const float* importance) {
  const auto n = static_cast<std::int64_t>(x.size());
  std::vector<std::byte> blocks(static_cast<std::size_t>(f.row_bytes(n)));
  f.encode(x.data(), importance, n, blocks.data());
  CHECK(f.legal(blocks.data(), n));
  return blocks;
}

// The root of the mean squared error, by weights.
double root_error(const FormatInfo& f, const std::vector<std::byte>& blocks, const std::vector<float>& x,
                  const std::vector<float>& weights) {
  std::vector<float> y(x.size());
  f.decode(blocks.data(), static_cast<std::int64_t>(x.size()), y.data());
  double error = 0, sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double e = static_cast<double>(x[i] - y[i]), w = static_cast<double>(weights[i]);
    error += w * e * e;
    sum += w;
  }
  return std::sqrt(error / sum);
}

template <class F>
double root_error(const std::vector<float>& x, const float* importance, const std::vector<float>& weights) {
  const FormatInfo& f = *find_format(std::string_view(F::name));
  return root_error(f, encode(f, x, importance), x, weights);
}

}  // namespace

TEST_CASE_TEMPLATE_DEFINE("the search finds the best of all points, the envelope for every scale", F,
                          searches) {
  std::mt19937 random(1);
  const Codebook& book = F::shape.books[0];
  const bool has_signs = F::shape.offset_span == 0;
  int worse = 0;
  for (int round = 0; round < 40; ++round) {
    std::vector<float> x = gaussian(random, static_cast<std::size_t>(book.size)),
                       w = log_normal(random, x.size());
    if (has_signs)
      for (float& v : x) v = std::fabs(v);
    const bool one_flip = has_signs && round % 2 == 1;
    CodebookSearch<Generic> search;
    search.project(book, x.data(), w.data(), one_flip);
    Envelope e;
    const float low = 0.5F / book.first[book.size == 4 ? 3 : 2], high = 2 * low;
    search.envelope(low, high, e);
    for (int k = 0; k <= 8; ++k) {
      const float t = low + (high - low) * static_cast<float>(k) / 8.0F;
      const double scale = static_cast<double>(t), least = plain_least(book, x, w, scale, one_flip);
      const auto error = [&](int index) { return plain_error(book, index, x, w, scale, one_flip); };
      CHECK(error(search.index(search.best(t))) <= least * (1 + 1e-5) + 1e-9);
      double on_envelope = 1e30;
      for (int i = 0; i < e.n; ++i) on_envelope = std::min(on_envelope, error(e.point[i]));
      CHECK(on_envelope <= least * (1 + 1e-5) + 1e-9);
      worse += error(search.index(search.best(3 * t))) > least * (1 + 1e-5) + 1e-9 ? 1 : 0;
    }
  }
  CHECK(worse > 180);  // of 360 points that are best for another scale
}
TEST_CASE_TEMPLATE_INSTANTIATE(searches, IQ1_S, IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS, IQ3_S);

// The reference encodes IQ1_S, IQ2_XXS and IQ2_XS with importance only: without, ours must then leave less plain
// error than that.
TEST_CASE("no encoder leaves more error than ggml's, with importance or without") {
  if (!have_golden("quants/quantize.safetensors")) return;
  const convert::SafeTensors tensors(golden("quants/quantize.safetensors"));
  const std::vector<std::byte> json = read_file(golden("quants/quantize.json"));
  const auto reference =
      parse_json({reinterpret_cast<const char*>(json.data()), json.size()}, {1 << 20, 8}, "json");
  const std::vector<float> columns = to_float(tensors.get("imatrix"));
  for (const char* name :
       {"IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "TQ1_0", "TQ2_0", "MXFP4"})
    for (const std::string rows : {"gauss", "heavy", "edge"})
      for (const bool weighted : {false, true}) {
        const FormatInfo& f = *find_format(std::string_view(name));
        const std::vector<float> x = to_float(tensors.get("x_" + rows));
        std::vector<float> weights(x.size(), 1.0F);
        for (std::size_t i = 0; weighted && i < x.size(); ++i) weights[i] = columns[i % columns.size()];
        const std::string key = std::string(name) + "." + rows;
        const bool plain = !weighted && reference.contains(key + ".plain");
        const double allowed = reference.at(key + (plain ? ".plain" : ".im"))
                                   .at(weighted ? "weighted_rmse" : "rmse")
                                   .get<double>();
        const double error = root_error(f, encode(f, x, weighted ? weights.data() : nullptr), x, weights);
        INFO(key, std::string(weighted ? " weighted" : ""), ": ", error, ", ggml ", allowed);
        CHECK(error <= allowed);
        // Codes of other weights, here of the row read backwards, leave too much.
        std::vector<float> backwards(x.rbegin(), x.rend());
        CHECK(root_error(f, encode(f, backwards, nullptr), x, weights) > allowed);
      }
}

TEST_CASE_TEMPLATE_DEFINE("importance lowers the error that it weighs, and only that", F, importance_counts) {
  std::mt19937 random(2);
  const std::vector<float> x = gaussian(random, 4096, 0.02F), weights = log_normal(random, 4096),
                           ones(4096, 1.0F);
  CHECK(root_error<F>(x, weights.data(), weights) < root_error<F>(x, nullptr, weights));
  CHECK(root_error<F>(x, nullptr, ones) < root_error<F>(x, weights.data(), ones));
  CHECK(root_error<F>(x, ones.data(), ones) == root_error<F>(x, nullptr, ones));
}
TEST_CASE_TEMPLATE_INSTANTIATE(importance_counts, IQ1_S, IQ1_M, IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS, IQ3_S, TQ1_0,
                               TQ2_0, MXFP4, NVFP4);

TEST_CASE("ternary weights and zeros are encoded without loss") {
  std::mt19937 random(3);
  std::vector<float> x(1024);
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] = static_cast<float>(static_cast<int>(random() % 3) - 1) * (i < 512 ? 0.0123291015625F : 0.75F);
  const std::vector<float> ones(x.size(), 1.0F), zero(x.size(), 0.0F);
  CHECK(root_error<TQ1_0>(x, nullptr, ones) == 0);
  CHECK(root_error<TQ2_0>(x, nullptr, ones) == 0);
  x[700] = 0.5F;
  CHECK(root_error<TQ2_0>(x, nullptr, ones) > 0);
  CHECK(root_error<IQ2_S>(zero, nullptr, ones) == 0);
  CHECK(root_error<IQ1_M>(zero, nullptr, ones) == 0);
  CHECK(root_error<MXFP4>(zero, nullptr, ones) == 0);
  CHECK(root_error<NVFP4>(zero, nullptr, ones) == 0);
}

// ggml's rule for NVFP4: the scale nearest to a sixth of the largest weight, then the nearest codes.
static double nvfp4_by_rule(const std::vector<float>& x) {
  double error = 0;
  for (std::size_t at = 0; at < x.size(); at += 16) {
    float top = 0;
    for (std::size_t i = at; i < at + 16; ++i) top = std::max(top, std::fabs(x[i]));
    float d = 0;
    for (int s = 0; s < 0x7f; ++s) {
      const float candidate = NVFP4::half_of_scale(static_cast<std::uint8_t>(s));
      if (std::fabs(12 * candidate - top) < std::fabs(12 * d - top)) d = candidate;
    }
    for (std::size_t i = at; i < at + 16; ++i) {
      float least = INFINITY;
      for (const int level : e2m1_levels)
        least = std::min(least, std::fabs(x[i] - d * static_cast<float>(level)));
      error += static_cast<double>(least) * static_cast<double>(least);
    }
  }
  return std::sqrt(error / static_cast<double>(x.size()));
}

TEST_CASE("NVFP4 leaves a tenth less error than by ggml's rule on small weights, less on others") {
  std::mt19937 random(4);
  const std::vector<float> ones(4096, 1.0F);
  for (const float deviation : {0.02F, 1.0F, 100.0F}) {
    const std::vector<float> x = gaussian(random, 4096, deviation);
    const double error = root_error<NVFP4>(x, nullptr, ones), by_rule = nvfp4_by_rule(x);
    INFO(error, " by rule ", by_rule);
    CHECK(error < 0.97 * by_rule);
    CHECK(error > 0.7 * by_rule);
  }
}

TEST_CASE_TEMPLATE_DEFINE("whatever the importance, finite weights give legal blocks, others none", F,
                          hostile) {
  std::mt19937 random(5);
  const FormatInfo& f = *find_format(std::string_view(F::name));
  std::vector<std::byte> blocks(static_cast<std::size_t>(f.row_bytes(512)));
  const float odd[] = {0.0F, 1e-45F, 1e-38F, 1e38F, -1.0F, INFINITY, NAN};
  for (const float size : {0.0F, 1e-45F, 1e-30F, 1e-8F, 1.0F, 2000.0F}) {
    const std::vector<float> x = gaussian(random, 512, size / 4);
    for (const float value : odd) {
      std::vector<float> importance(512, value);
      for (std::size_t i = 0; i < 512; i += 1 + random() % 100) importance[i] = odd[random() % 7];
      f.encode(x.data(), importance.data(), 512, blocks.data());
      CHECK(f.legal(blocks.data(), 512));
    }
  }
  for (const float bad : {INFINITY, -INFINITY, NAN, 1e13F, -3e38F}) {
    std::vector<float> x(512, 1.0F);
    x[300] = bad;
    f.encode(x.data(), nullptr, 512, blocks.data());
    CHECK_FALSE(f.legal(blocks.data(), 512));
  }
}
TEST_CASE_TEMPLATE_INSTANTIATE(hostile, IQ1_S, IQ1_M, IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS, IQ3_S, TQ1_0, TQ2_0,
                               MXFP4, NVFP4);

}  // namespace coterie::test
