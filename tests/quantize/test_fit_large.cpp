// Byte budgets for R1 itself, without its weights: the shapes of all its tensors, the noise of gaussian rows, and the
// effects that are assumed where no text was read. What users with 140 to 400 GB get has to be sane.
#include "quantize/fit.h"
#include "quantize/fit_explain.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <string>

namespace coterie::quantize {

namespace {

constexpr int layers = 61, dense_layers = 3;

struct Part {
  const char* name;
  std::int64_t columns, rows;
};
constexpr Part attention[] = {{"attn_q_a", 7168, 1536},     {"attn_q_b", 1536, 24576},
                              {"attn_kv_a_mqa", 7168, 576}, {"attn_k_b", 128, 512 * 128},
                              {"attn_v_b", 512, 128 * 128}, {"attn_output", 16384, 7168}};
constexpr Part dense[] = {{"ffn_gate", 7168, 18432}, {"ffn_up", 7168, 18432}, {"ffn_down", 18432, 7168}};
constexpr Part sparse[] = {{"ffn_gate_exps", 7168, 256 * 2048}, {"ffn_up_exps", 7168, 256 * 2048},
                           {"ffn_down_exps", 2048, 256 * 7168}, {"ffn_gate_shexp", 7168, 2048},
                           {"ffn_up_shexp", 7168, 2048},        {"ffn_down_shexp", 2048, 7168}};

FitTensor tensor(const std::string& name, std::int64_t columns, std::int64_t rows) {
  return {.name = name + ".weight",
          .columns = columns,
          .rows = rows,
          .rows_per_matrix = rows,
          .now = find_format(std::string_view("BF16")),
          .fixed = false,
          .read = [=](std::int64_t row, float* out) {
            std::mt19937 random(static_cast<unsigned>(row));
            std::normal_distribution<float> normal;
            for (std::int64_t i = 0; i < columns; ++i) out[i] = normal(random);
          }};
}

std::vector<FitTensor> r1() {
  std::vector<FitTensor> tensors{tensor("token_embd", 7168, 129280), tensor("output", 7168, 129280)};
  for (int layer = 0; layer < layers; ++layer) {
    const auto add = [&](const Part& p) {
      tensors.push_back(tensor("blk." + std::to_string(layer) + "." + p.name, p.columns, p.rows));
    };
    std::ranges::for_each(attention, add);
    if (layer < dense_layers)
      std::ranges::for_each(dense, add);
    else
      std::ranges::for_each(sparse, add);
  }
  return tensors;
}

// Rows are alike, so a few short ones tell the noise of all: per format, and for rows that only fit some.
Noise noise_of(const std::vector<FitTensor>& tensors, const FitOptions& o) {
  std::map<std::int64_t, std::vector<FitFormat>> by_columns;
  Noise noise;
  for (const FitTensor& t : tensors) {
    const std::int64_t columns = t.columns % 256 == 0 ? 256 : 32;
    auto& measured = by_columns[columns];
    if (measured.empty()) measured = measure_noise(tensor("x", columns, 16), o);
    noise.push_back(measured);
    for (FitFormat& f : noise.back())
      f.bytes = static_cast<std::uint64_t>(t.rows * f.format->row_bytes(t.columns));
  }
  return noise;
}

// Bits per weight of all tensors whose names hold a text.
double bits_of(const Fit& f, const std::string& in_name) {
  double bits = 0, weights = 0;
  for (const FittedTensor& t : f.tensors)
    if (t.name.find(in_name) != std::string::npos) {
      bits += 8.0 * static_cast<double>(t.chosen.bytes);
      weights += static_cast<double>(t.elements);
    }
  return bits / weights;
}

std::uint64_t smallest_step(const Fit& f, const Noise& noise) {
  std::uint64_t step = ~std::uint64_t{0};
  for (std::size_t i = 0; i < noise.size(); ++i)
    for (const FitFormat& option : noise[i])
      if (option.bytes > f.tensors[i].chosen.bytes && option.noise < f.tensors[i].chosen.noise)
        step = std::min(step, option.bytes - f.tensors[i].chosen.bytes);
  return step;
}

}  // namespace

TEST_CASE("R1 for any machine: the size is hit, and what every token meets keeps its bits") {
  FitOptions o{.budget = 0, .overhead = 6'000'000, .alignment = 32, .threads = 2, .progress = {}};
  const std::vector<FitTensor> tensors = r1();
  const Noise noise = noise_of(tensors, o);
  const std::vector<double> effects = default_effects(tensors);
  for (const std::uint64_t gigabytes : {140U, 160U, 180U, 192U, 230U, 256U, 320U, 404U, 500U}) {
    o.budget = gigabytes * 1'000'000'000;
    const Fit f = fit(tensors, noise, effects, o);
    INFO(gigabytes, " GB: ", f.bytes, " bytes\n", table_of(f));
    CHECK(f.bytes <= o.budget);
    CHECK(f.bytes + std::max(o.budget / 200, smallest_step(f, noise)) >= o.budget);
    const double experts = bits_of(f, "_exps.");
    CHECK(experts < 8.0 * static_cast<double>(o.budget) / 671e9);  // they alone pay
    for (const char* sensitive : {".attn_", "_shexp.", "blk.0.ffn", "blk.2.ffn", "output.weight"})
      CHECK(bits_of(f, sensitive) >= std::min(experts + 1.5, 8.0));
    CHECK(bits_of(f, "blk.3.ffn_") >= bits_of(f, "blk.30.ffn_"));
    CHECK(bits_of(f, "ffn_down_exps.") >= bits_of(f, "ffn_gate_exps."));
    CHECK(bits_of(f, "blk.60.ffn_down_exps.") > 0.6 * experts);  // no layer is given up
    const Fit again = fit(tensors, noise, effects, o);
    CHECK(table_of(again) == table_of(f));
  }
}

TEST_CASE("with effects that are all alike the checks above would fail") {
  FitOptions o{
      .budget = 192'000'000'000, .overhead = 6'000'000, .alignment = 32, .threads = 2, .progress = {}};
  const std::vector<FitTensor> tensors = r1();
  std::vector<double> by_size;  // as if every weight counted alike
  for (const FitTensor& t : tensors) by_size.push_back(static_cast<double>(t.columns * t.rows));
  const Fit f = fit(tensors, noise_of(tensors, o), by_size, o);
  CHECK(bits_of(f, ".attn_") < bits_of(f, "_exps.") + 1.5);
}

}  // namespace coterie::quantize
