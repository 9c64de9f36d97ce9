// Byte budgets: how they are said, how they are filled, and that the file then has that size.
#include "base/errors.h"
#include "quantize/budget.h"
#include "quantize/effects.h"
#include "quantize/fit.h"
#include "quantize/fit_explain.h"
#include "quantize/knapsack.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace coterie::quantize {

namespace {

using Items = std::vector<std::vector<Option>>;

// Options as formats have them: bytes up, loss down, not always convex.
Items random_items(std::mt19937& random, int n) {
  Items items;
  for (int i = 0; i < n; ++i) {
    std::uint64_t bytes = random() % 1000 + 1;
    double loss = static_cast<double>(random() % 100000 + 1);
    std::vector<Option>& options = items.emplace_back();
    for (int k = static_cast<int>(random() % 5); k >= 0; --k) {
      options.push_back({bytes, loss});
      bytes += random() % 500 + 1;
      loss *= 0.2 + 0.7 * static_cast<double>(random() % 1000) / 1000;
    }
  }
  return items;
}

struct Total {
  std::uint64_t bytes = 0;
  double loss = 0;
};

Total total_of(const Items& items, const std::vector<std::size_t>& chosen) {
  Total t;
  for (std::size_t i = 0; i < items.size(); ++i) {
    t.bytes += items[i][chosen[i]].bytes;
    t.loss += items[i][chosen[i]].loss;
  }
  return t;
}

// The least loss within the budget, by trying everything.
double best_loss(const Items& items, std::uint64_t budget) {
  std::vector<std::size_t> chosen(items.size(), 0);
  double best = INFINITY;
  for (std::size_t i = 0; i < items.size();) {
    const Total t = total_of(items, chosen);
    if (t.bytes <= budget) best = std::min(best, t.loss);
    for (i = 0; i < items.size() && ++chosen[i] == items[i].size(); ++i) chosen[i] = 0;
  }
  return best;
}

// Weights of one tensor, made from the row's number; a tensor whose rows are alike.
FitTensor tensor(const std::string& name, std::int64_t columns, std::int64_t rows, bool fixed = false) {
  return {.name = name,
          .columns = columns,
          .rows = rows,
          .rows_per_matrix = rows,
          .now = find_format(std::string_view(fixed ? "F32" : "BF16")),
          .fixed = fixed,
          .read = [=](std::int64_t row, float* out) {
            for (std::int64_t i = 0; i < columns; ++i)
              out[i] = std::sin(static_cast<float>(row * 37 + i * i % 1013) * 0.7F);
          }};
}

std::vector<FitTensor> model() {
  std::vector<FitTensor> tensors{tensor("token_embd.weight", 256, 512),
                                 tensor("output_norm.weight", 256, 1, true)};
  for (int layer = 0; layer < 3; ++layer) {
    const std::string block = "blk." + std::to_string(layer) + ".";
    tensors.push_back(tensor(block + "attn_q_a.weight", 256, 64));
    tensors.push_back(tensor(block + "attn_k_b.weight", 32, 256));
    for (const char* part : {"ffn_gate_exps.weight", "ffn_up_exps.weight", "ffn_down_exps.weight"})
      tensors.push_back(tensor(block + part, 256, 1024));
  }
  return tensors;
}

FitOptions options(std::uint64_t budget) {
  return {.budget = budget, .overhead = 5000, .alignment = 32, .threads = 2, .progress = {}};
}

}  // namespace

TEST_CASE("sizes are read as users write them") {
  CHECK(parse_budget("--fit", "192GB", 0) == 192'000'000'000U);
  CHECK(parse_budget("--fit", "180 GiB", 0) == std::uint64_t{180} << 30);
  CHECK(parse_budget("--fit", "180gib", 0) == std::uint64_t{180} << 30);
  CHECK(parse_budget("--fit", "1.5MiB", 0) == 1572864U);
  CHECK(parse_budget("--fit", "5000001", 0) == 5000001U);
  CHECK(parse_budget("--fit", "5000001B", 0) == 5000001U);
  CHECK(parse_budget("--fit", "0.75x", 1001) == 750U);
  CHECK(parse_bits("--bits", "2.7", 80) == 27U);
  for (const char* bad :
       {"", "GB", "-1GB", "0", "1e9", "1 apple", "nan", "inf", "0x10", "99999999TB", "2.7.1GB"}) {
    INFO(bad);
    CHECK_THROWS_AS(parse_budget("--fit", bad, 1000), UsageError);
  }
  CHECK_THROWS_AS(parse_bits("--bits", "2.7GB", 80), UsageError);
  CHECK_THROWS_WITH_AS(parse_bits("--bits", "many", 80),
                       "--bits: found 'many', expected bits per weight, like 2.7", UsageError);
}

TEST_CASE("the knapsack stays below its budget, within a step of the optimum, and leaves no step that fits") {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    const Items items = random_items(random, 6);
    const std::uint64_t budget = 1000 + random() % 9000;
    const auto chosen = fill_knapsack(items, budget);
    const double best = best_loss(items, budget);
    INFO("round ", round);
    REQUIRE(chosen.has_value() == std::isfinite(best));
    if (!chosen) continue;
    const Total t = total_of(items, *chosen);
    CHECK(t.bytes <= budget);
    double largest_step = 0;
    for (std::size_t i = 0; i < items.size(); ++i) {
      for (const Option& o : items[i])
        CHECK_FALSE((o.loss < items[i][(*chosen)[i]].loss &&
                     o.bytes - items[i][(*chosen)[i]].bytes <= budget - t.bytes));
      for (std::size_t k = 1; k < items[i].size(); ++k)
        largest_step = std::max(largest_step, items[i][k - 1].loss - items[i][k].loss);
    }
    CHECK(t.loss <= best + static_cast<double>(items.size()) * largest_step);
    CHECK(fill_knapsack(items, budget) == chosen);
  }
}

TEST_CASE("more room never costs more than the room is fine-grained") {
  std::mt19937 random(2);
  const Items items = random_items(random, 60);
  double before = INFINITY;
  for (std::uint64_t budget = 40'000; budget < 120'000; budget += 997) {
    const auto chosen = fill_knapsack(items, budget);
    if (!chosen) continue;
    const double loss = total_of(items, *chosen).loss;
    CHECK(loss <= before * 1.000001);
    before = loss;
  }
  CHECK(std::isfinite(before));
}

TEST_CASE("a fitted file has the size that was asked for, and what is small and sensitive keeps more bits") {
  const std::vector<FitTensor> tensors = model();
  const Noise noise = measure_all(tensors, options(0));
  const std::vector<double> effects = default_effects(tensors);
  std::uint64_t weights = 0;
  for (const FitTensor& t : tensors) weights += static_cast<std::uint64_t>(t.columns * t.rows);
  double before = INFINITY;
  for (const double bits : {3.0, 4.0, 4.6, 5.5, 7.0}) {
    const auto budget = static_cast<std::uint64_t>(static_cast<double>(weights) * bits / 8) + 5000;
    const Fit f = fit(tensors, noise, effects, options(budget));
    INFO(bits);
    CHECK(f.bytes <= budget);
    CHECK(f.bytes >= budget - std::max(budget / 200, std::uint64_t{256 * 64 / 8}));
    CHECK(f.loss < before);
    before = f.loss;
    std::uint64_t bytes = 5000;
    for (const FittedTensor& t : f.tensors) bytes += t.chosen.bytes;
    CHECK(bytes == f.bytes);
    const auto bits_of = [&](std::size_t i) {
      return 8.0 * static_cast<double>(f.tensors[i].chosen.bytes) /
             static_cast<double>(f.tensors[i].elements);
    };
    CHECK(bits_of(2) >= bits_of(4));  // attn_q_a against ffn_gate_exps
    CHECK(std::string_view(f.tensors[1].chosen.format->name) == "F32");
  }
  CHECK_THROWS_AS(fit(tensors, noise, effects, options(weights / 8)), UsageError);
}

TEST_CASE("what no type can reach is refused from the shapes alone, to the byte") {
  std::vector<FitTensor> tensors = model();
  std::uint64_t smallest = options(0).overhead;
  for (const std::vector<FitFormat>& formats : measure_all(tensors, options(0)))
    smallest += formats.front().bytes;
  for (FitTensor& t : tensors) t.read = [](std::int64_t, float*) { FAIL("read"); };
  CHECK_NOTHROW(check_budget(tensors, options(smallest)));
  CHECK_THROWS_WITH_AS(check_budget(tensors, options(smallest - 1)),
                       ("--fit: found " + std::to_string(smallest - 1) + " bytes, expected at least " +
                        std::to_string(smallest) + ", with every tensor in the smallest type it can have")
                           .c_str(),
                       UsageError);
}

TEST_CASE("the measured noise is that of the whole tensor, for any number of threads") {
  const FitTensor t = tensor("blk.0.ffn_up.weight", 256, 640);
  FitOptions o = options(0);
  const std::vector<FitFormat> two = measure_noise(t, o);
  o.threads = 1;
  const std::vector<FitFormat> one = measure_noise(t, o);
  REQUIRE(one.size() == two.size());
  double q4 = 0;
  for (std::size_t i = 0; i < one.size(); ++i) {
    CHECK(one[i].noise == two[i].noise);
    if (std::string_view(one[i].format->name) == "Q4_0") q4 = one[i].noise;
    if (i > 0) CHECK(one[i].bytes >= one[i - 1].bytes);
  }
  double error = 0, size = 0;
  std::vector<float> x(256), y(256);
  std::vector<std::byte> blocks(144);
  const FormatInfo& f = *find_format(std::string_view("Q4_0"));
  for (std::int64_t row = 0; row < t.rows; ++row) {
    t.read(row, x.data());
    f.encode(x.data(), nullptr, 256, blocks.data());
    f.decode(blocks.data(), 256, y.data());
    for (std::size_t i = 0; i < 256; ++i) {
      error += std::pow(static_cast<double>(x[i]) - static_cast<double>(y[i]), 2);
      size += std::pow(static_cast<double>(x[i]), 2);
    }
  }
  CHECK(std::abs(q4 - error / size) < 0.1 * error / size);
  CHECK(std::abs(2 * q4 - error / size) > 0.1 * error / size);  // what a factor would do
}

TEST_CASE("the recipe says what was chosen, and the picture shows every part") {
  const std::vector<FitTensor> tensors = model();
  const Noise noise = measure_all(tensors, options(0));
  const Fit f = fit(tensors, noise, default_effects(tensors), options(1'500'000));
  const Recipe recipe = parse_recipe(text_of(recipe_of(f)), "recipe");
  for (const FittedTensor& t : f.tensors)
    CHECK(look_up(recipe, t.name) == (t.fixed ? nullptr : t.chosen.format));
  const std::string picture = picture_of(f), table = table_of(f);
  for (const char* part : {"attn_q_a", "attn_k_b", "ffn_gate_exps", "token_embd"}) {
    CHECK(picture.find(std::string(">") + part + "<") != std::string::npos);
    CHECK(table.find(part) != std::string::npos);
  }
  CHECK(picture.starts_with("<svg"));
  CHECK(picture.ends_with("</svg>\n"));
}

TEST_CASE("effects are read as they were written, those not named in the scale of the others") {
  const std::vector<FitTensor> tensors = model();
  std::vector<double> effects = default_effects(tensors);
  for (double& e : effects) e *= 0.015625;
  const std::string text = text_of(tensors, effects);
  const std::vector<double> all = parse_effects(text, tensors, "e.txt");
  const std::vector<double> some =
      parse_effects("\r\n# one\nblk.1.attn_q_a.weight = 0.0625 \n", tensors, "e.txt");
  const std::vector<double> defaults = default_effects(tensors);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (!tensors[i].fixed) CHECK(std::abs(all[i] - effects[i]) <= 1e-5 * effects[i]);
    const double scale = 0.0625 / defaults[7];
    CHECK(std::abs(some[i] - defaults[i] * scale) <= 1e-9);
  }
  CHECK(tensors[7].name == "blk.1.attn_q_a.weight");
  CHECK_THROWS_WITH_AS(parse_effects("a = 1\nb 2\n", tensors, "e.txt"),
                       "e.txt: line 2: found 'b 2', expected 'tensor = effect', a number of at least 0",
                       UsageError);
  for (const char* bad : {"a = -1", "a = x", "a = nan", "a =", "other.weight = 1", ""}) {
    INFO(bad);
    CHECK_THROWS_AS(parse_effects(bad, tensors, "e.txt"), UsageError);
  }
}

}  // namespace coterie::quantize
