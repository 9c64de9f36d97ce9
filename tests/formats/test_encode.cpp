// tests/formats/test_encode.cpp: encoders against ggml's output: the simple ones bit for bit, the others by
// error.
#include "base/json.h"
#include "convert/safetensors.h"
#include "formats/formats.h"
#include "tests/formats/support.h"
#include "tests/support/scratch_dir.h"

#include <doctest/doctest.h>

#include <optional>
#include <string>

namespace coterie::test {

namespace {

constexpr const char* row_sets[] = {"gauss", "heavy", "edge"};

// The golden rows and what ggml makes of them; the compact set may lack them.
struct Quantised {
  convert::SafeTensors tensors;
  nlohmann::ordered_json errors;
};

std::optional<Quantised> quantised() {
  if (!have_golden("quants/quantize.safetensors")) return std::nullopt;
  const std::string json_path = golden("quants/quantize.json");
  const std::vector<std::byte> json = read_file(json_path);
  const std::string_view text(reinterpret_cast<const char*>(json.data()), json.size());
  return Quantised{convert::SafeTensors(golden("quants/quantize.safetensors")),
                   parse_json(text, {1 << 20, 8}, json_path)};
}

std::vector<std::byte> encode(const FormatInfo& f, const std::vector<float>& x,
                              const std::vector<float>* importance = nullptr) {
  const auto n = static_cast<std::int64_t>(x.size());
  std::vector<std::byte> blocks(static_cast<std::size_t>(f.row_bytes(n)));
  f.encode(x.data(), importance == nullptr ? nullptr : importance->data(), n, blocks.data());
  return blocks;
}

// The root of the mean squared error, weighted as in the reference's figures.
double rms_error(const FormatInfo& f, const std::vector<std::byte>& blocks, const std::vector<float>& x,
                 const std::vector<float>* importance = nullptr) {
  std::vector<float> w(x.size());
  f.decode(blocks.data(), static_cast<std::int64_t>(x.size()), w.data());
  double sum = 0, weights = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double e = static_cast<double>(w[i]) - static_cast<double>(x[i]);
    const double weight = importance == nullptr ? 1.0 : static_cast<double>((*importance)[i]);
    sum += weight * e * e;
    weights += weight;
  }
  return std::sqrt(sum / weights);
}

// One value per weight from one per column.
std::vector<float> repeated(const std::vector<float>& columns, std::size_t n) {
  std::vector<float> all(n);
  for (std::size_t i = 0; i < n; ++i) all[i] = columns[i % columns.size()];
  return all;
}

}  // namespace

TEST_CASE("the 32-block encoders write ggml's bytes") {
  const auto golden_rows = quantised();
  if (!golden_rows) return;
  for (const char* name : {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"})
    for (const std::string rows : row_sets) {
      INFO(std::string(name), " ", rows);
      const std::vector<float> x = to_float(golden_rows->tensors.get("x_" + rows));
      const auto expected = golden_rows->tensors.get(std::string(name) + "." + rows + ".plain").bytes;
      std::vector<std::byte> blocks = encode(*find_format(name), x);
      REQUIRE(blocks.size() == expected.size());
      CHECK(std::equal(blocks.begin(), blocks.end(), expected.begin()));
    }
}

// Our error at most ggml's, and two codes of each block moved by one step are seen.
static void check_error(const FormatInfo& f, const std::vector<float>& x,
                        const std::vector<float>* importance, double allowed) {
  std::vector<std::byte> blocks = encode(f, x, importance);
  const double error = rms_error(f, blocks, x, importance);
  INFO(std::string(f.name), ": ", error, ", ggml ", allowed);
  CHECK(error <= allowed);
  CHECK(f.legal(blocks.data(), static_cast<std::int64_t>(x.size())));
  const auto stride = static_cast<std::size_t>(f.block_bytes);
  for (std::size_t at = stride / 2; at < blocks.size(); at += stride) blocks[at] ^= std::byte{0x11};
  CHECK(rms_error(f, blocks, x, importance) > error);
}

TEST_CASE("the searching encoders leave no more error than ggml's") {
  const auto golden_rows = quantised();
  if (!golden_rows) return;
  for (const char* name : {"Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"})
    for (const std::string rows : row_sets) {
      INFO(rows);
      const auto& reference = golden_rows->errors.at(std::string(name) + "." + rows + ".plain");
      check_error(*find_format(name), to_float(golden_rows->tensors.get("x_" + rows)), nullptr,
                  reference.at("rmse").get<double>());
    }
}

TEST_CASE("with importance no encoder leaves more weighted error than ggml's") {
  const auto golden_rows = quantised();
  if (!golden_rows) return;
  for (const char* name :
       {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"})
    for (const std::string rows : row_sets) {
      INFO(rows);
      const std::vector<float> x = to_float(golden_rows->tensors.get("x_" + rows));
      const std::vector<float> importance = repeated(to_float(golden_rows->tensors.get("imatrix")), x.size());
      const auto& reference = golden_rows->errors.at(std::string(name) + "." + rows + ".im");
      check_error(*find_format(name), x, &importance, reference.at("weighted_rmse").get<double>());
    }
}

TEST_CASE("importance lowers the error that it weighs") {
  std::mt19937 random(3);
  std::vector<float> x(4096), importance(4096);
  for (float& v : x) v = std::normal_distribution<float>()(random);
  for (float& v : importance) v = std::exp(std::normal_distribution<float>()(random));
  for (const char* name :
       {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"}) {
    INFO(std::string(name));
    const FormatInfo& f = *find_format(name);
    const double with = rms_error(f, encode(f, x, &importance), x, &importance);
    CHECK(with < rms_error(f, encode(f, x), x, &importance));
    CHECK(with > 0);
  }
}

TEST_CASE("only the proportions of importance count, and what is no number counts as zero") {
  std::mt19937 random(4);
  std::vector<float> x(512), importance(512), scaled(512), odd(512, 0.0F);
  for (float& v : x) v = std::normal_distribution<float>()(random);
  for (std::size_t i = 0; i < 512; ++i) {
    importance[i] = std::exp(std::normal_distribution<float>()(random));
    scaled[i] = 0x1p-90F * importance[i];
    if (i % 3 == 0) importance[i] = scaled[i] = 0;
    odd[i] = i % 3 == 0 ? (i % 2 == 0 ? NAN : -1.0F) : importance[i];
  }
  for (const char* name : {"Q4_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "IQ4_NL", "IQ4_XS"}) {
    INFO(std::string(name));
    const FormatInfo& f = *find_format(name);
    const std::vector<std::byte> expected = encode(f, x, &importance);
    CHECK(encode(f, x, &scaled) == expected);
    CHECK(encode(f, x, &odd) == expected);
  }
}

TEST_CASE("F32, F16 and BF16 encode to what they decode to") {
  std::mt19937 random(5);
  for (const char* name : {"F32", "F16", "BF16"}) {
    const FormatInfo& f = *find_format(name);
    std::vector<float> x(1000);
    for (float& v : x) v = std::normal_distribution<float>()(random);
    const std::vector<std::byte> once = encode(f, x);
    f.decode(once.data(), 1000, x.data());
    CHECK(encode(f, x) == once);
  }
}

TEST_CASE("every encoder survives odd weights, and what is no number stays visible") {
  for (const FormatInfo& f : all_formats()) {
    if (f.encode == nullptr) continue;
    INFO(std::string(f.name));
    // Where there is no code for zero, or only powers of two for scales.
    const bool coarse = std::string_view(f.name).find_first_of("123") == 2 || f.name == std::string("MXFP4");
    for (const float odd : {0.0F, -0.0F, 1e-45F, -1e-40F, 1e-20F, 1e3F}) {
      std::vector<float> x(512, 0.0F);
      for (std::size_t i = 0; i < x.size(); i += 3) x[i] = odd;
      const std::vector<std::byte> blocks = encode(f, x);
      CHECK(f.legal(blocks.data(), 512));
      CHECK(rms_error(f, blocks, x) <= (coarse ? 0.25 : 0.05) * std::fabs(static_cast<double>(odd)) + 1e-7);
    }
    for (const float bad : {INFINITY, -INFINITY, NAN}) {
      std::vector<float> x(512, 1.0F);
      x[300] = bad;
      CHECK_FALSE(f.legal(encode(f, x).data(), 512));
    }
  }
}

}  // namespace coterie::test
