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

std::vector<std::byte> encode(const FormatInfo& f, const std::vector<float>& x) {
  const auto n = static_cast<std::int64_t>(x.size());
  std::vector<std::byte> blocks(static_cast<std::size_t>(f.row_bytes(n)));
  f.encode(x.data(), nullptr, n, blocks.data());
  return blocks;
}

double rms_error(const FormatInfo& f, const std::vector<std::byte>& blocks, const std::vector<float>& x) {
  std::vector<float> w(x.size());
  f.decode(blocks.data(), static_cast<std::int64_t>(x.size()), w.data());
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double e = static_cast<double>(w[i]) - static_cast<double>(x[i]);
    sum += e * e;
  }
  return std::sqrt(sum / static_cast<double>(x.size()));
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

TEST_CASE("the searching encoders leave no more error than ggml's") {
  const auto golden_rows = quantised();
  if (!golden_rows) return;
  for (const char* name : {"Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"})
    for (const std::string rows : row_sets) {
      const FormatInfo& f = *find_format(name);
      const std::vector<float> x = to_float(golden_rows->tensors.get("x_" + rows));
      std::vector<std::byte> blocks = encode(f, x);
      const double error = rms_error(f, blocks, x);
      const double allowed =
          golden_rows->errors.at(std::string(name) + "." + rows + ".plain").at("rmse").get<double>();
      INFO(std::string(name), " ", rows, ": ", error, ", ggml ", allowed);
      CHECK(error <= allowed);
      CHECK(f.legal(blocks.data(), static_cast<std::int64_t>(x.size())));

      // Two codes of each block moved by one step are seen.
      const auto stride = static_cast<std::size_t>(f.block_bytes);
      for (std::size_t at = stride / 2; at < blocks.size(); at += stride) blocks[at] ^= std::byte{0x11};
      CHECK(rms_error(f, blocks, x) > error);
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
    for (const float odd : {0.0F, -0.0F, 1e-45F, -1e-40F, 1e-20F, 1e4F}) {
      std::vector<float> x(512, 0.0F);
      for (std::size_t i = 0; i < x.size(); i += 3) x[i] = odd;
      const std::vector<std::byte> blocks = encode(f, x);
      CHECK(f.legal(blocks.data(), 512));
      CHECK(rms_error(f, blocks, x) <= 0.05 * std::fabs(static_cast<double>(odd)) + 1e-7);
    }
    for (const float bad : {INFINITY, -INFINITY, NAN}) {
      std::vector<float> x(512, 1.0F);
      x[300] = bad;
      CHECK_FALSE(f.legal(encode(f, x).data(), 512));
    }
  }
}

}  // namespace coterie::test
