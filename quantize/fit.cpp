#include "quantize/fit.h"

#include "base/errors.h"
#include "kernels/kernels.h"
#include "quantize/knapsack.h"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string_view>

namespace coterie::quantize {

namespace {

// Rows that stand for a tensor, spread evenly over its experts.
constexpr std::int64_t sample_rows = 64;

// Without an importance matrix too: who has 192 GB and no matrix yet wants R1 in 2.1 bits all the same, and can
// calibrate on that file.
constexpr std::string_view grades[] = {"IQ1_S", "IQ1_M",   "IQ2_XXS", "IQ2_XS", "IQ2_S",  "Q2_K",
                                       "Q3_K",  "IQ3_XXS", "IQ3_S",   "IQ4_XS", "IQ4_NL", "Q4_0",
                                       "Q4_K",  "Q5_0",    "Q5_K",    "Q6_K",   "Q8_0"};

std::vector<const FormatInfo*> formats_for(const FitTensor& t) {
  std::vector<const FormatInfo*> formats;
  for (const std::string_view name : grades) {
    const FormatInfo* f = find_format(name);
    if (f != t.now && t.columns % f->block_size == 0 && kernels().encode[f->index] != nullptr)
      formats.push_back(f);
  }
  return formats;
}

// Padding included.
std::uint64_t bytes_in(const FormatInfo& f, const FitTensor& t, std::uint64_t alignment) {
  const auto bytes = static_cast<std::uint64_t>(t.rows * f.row_bytes(t.columns));
  return (bytes + alignment - 1) / alignment * alignment;
}

std::uint64_t smallest_bytes(const FitTensor& t, std::uint64_t alignment) {
  std::uint64_t bytes = bytes_in(*t.now, t, alignment);
  if (!t.fixed)
    for (const FormatInfo* f : formats_for(t)) bytes = std::min(bytes, bytes_in(*f, t, alignment));
  return bytes;
}

// One row of a tensor, as every format makes it.
class Sampler {
 public:
  Sampler(const FitTensor& t, const std::vector<const FormatInfo*>& formats,
          const ImportanceMatrix* importance)
      : t_(t), formats_(formats) {
    if (importance != nullptr && importance->has(t.name))
      for (std::int64_t i = 0; i < n(); ++i)
        weights_.push_back(importance->weights(t.name, t.columns, row(i) / t.rows_per_matrix));
  }

  std::int64_t n() const { return std::min(sample_rows, t_.rows); }
  bool weighted() const { return !weights_.empty() && !weights_[0].empty(); }

  // errors [formats + 1]: of each format, then the row's own size.
  void measure(std::int64_t i, double* errors) const {
    const auto columns = static_cast<std::size_t>(t_.columns);
    std::vector<float> x(columns), y(columns);
    std::vector<std::byte> blocks(columns * sizeof(float));
    const float* weights = weighted() ? weights_[static_cast<std::size_t>(i)].data() : nullptr;
    const auto sum = [&](auto&& of) {
      double s = 0;
      for (std::size_t j = 0; j < columns; ++j)
        s += (weights ? static_cast<double>(weights[j]) : 1.0) * of(j);
      return s;
    };
    t_.read(row(i), x.data());
    for (std::size_t f = 0; f < formats_.size(); ++f) {
      kernels().encode[formats_[f]->index](x.data(), weights, t_.columns, blocks.data());
      formats_[f]->decode(blocks.data(), t_.columns, y.data());
      errors[f] = sum([&](std::size_t j) {
        const double d = static_cast<double>(x[j]) - static_cast<double>(y[j]);
        return d * d;
      });
    }
    errors[formats_.size()] =
        sum([&](std::size_t j) { return static_cast<double>(x[j]) * static_cast<double>(x[j]); });
  }

 private:
  std::int64_t row(std::int64_t i) const { return (2 * i + 1) * t_.rows / (2 * n()); }

  const FitTensor& t_;
  const std::vector<const FormatInfo*>& formats_;
  std::vector<std::vector<float>> weights_;  // of each sampled row
};

// What noise in a tensor does to the output, relative to gate and up of the routed experts of its layer: rounded from
// what was measured on the shipped model, the head set higher, as others have found it on large ones.
struct KnownEffect {
  std::string_view in_name;
  double effect;
};
constexpr KnownEffect known_effects[] = {{"token_embd", 20},  {"output.weight", 6}, {"attn_", 4},
                                         {"_down_exps", 1.5}, {"_exps", 1},         {"_shexp", 1.5},
                                         {"ffn_down", 5},     {"ffn_", 3}};

// "output.weight" is also the end of attn_output.weight.
const KnownEffect* known_effect(const std::string& name) {
  const auto* found = std::ranges::find_if(known_effects, [&](const KnownEffect& k) {
    return k.in_name == "output.weight" ? name == k.in_name : name.find(k.in_name) != std::string::npos;
  });
  return found == std::end(known_effects) ? nullptr : found;
}

// What early layers lose, all later ones build upon: a third at the last layer, twice as much at the first ones. On the
// four layers of the shipped model the effects fall to a thirtieth; but a deep model whose last layers got one bit
// because of that would be a risk nobody has measured.
double depth_effect(int layer, int layers) {
  if (layer < 0 || layers < 2) return 1;
  const double first = layer < std::max(1, layers / 16) ? 2.0 : 1.0;
  return first * std::pow(3.0, -static_cast<double>(layer) / (layers - 1));
}

int layer_of(const std::string& name) {
  int layer = 0;
  return std::sscanf(name.c_str(), "blk.%6d.", &layer) == 1 ? layer : -1;
}

}  // namespace

void check_budget(std::span<const FitTensor> tensors, const FitOptions& o) {
  std::uint64_t smallest = o.overhead;
  for (const FitTensor& t : tensors) smallest += smallest_bytes(t, o.alignment);
  if (o.budget < smallest)
    throw UsageError("--fit: found " + std::to_string(o.budget) + " bytes, expected at least " +
                     std::to_string(smallest) + ", with every tensor in the smallest type it can have");
}

std::vector<FitFormat> measure_noise(const FitTensor& t, const FitOptions& o) {
  const auto bytes = [&](const FormatInfo& f) { return bytes_in(f, t, o.alignment); };
  std::vector<FitFormat> measured{{t.now, bytes(*t.now), 0.0}};
  if (t.fixed) return measured;
  const std::vector<const FormatInfo*> formats = formats_for(t);
  const Sampler sampler(t, formats, o.importance);
  const std::size_t width = formats.size() + 1;
  std::vector<double> errors(width * static_cast<std::size_t>(sampler.n()));
#pragma omp parallel for schedule(dynamic, 1) num_threads(o.threads)
  for (std::int64_t i = 0; i < sampler.n(); ++i)
    sampler.measure(i, errors.data() + static_cast<std::size_t>(i) * width);
  std::vector<double> sums(width, 0.0);  // in the order of the rows, whoever measured them
  for (std::size_t i = 0; i < errors.size(); ++i) sums[i % width] += errors[i];
  for (std::size_t f = 0; f < formats.size(); ++f)
    measured.push_back({formats[f], bytes(*formats[f]), sums.back() > 0 ? sums[f] / sums.back() : 0.0});
  std::ranges::stable_sort(measured, {}, &FitFormat::bytes);
  return measured;
}

Noise measure_all(std::span<const FitTensor> tensors, const FitOptions& o) {
  Noise noise;
  for (const FitTensor& t : tensors) {
    noise.push_back(measure_noise(t, o));
    if (o.progress) o.progress(noise.size(), tensors.size());
  }
  return noise;
}

std::vector<double> default_effects(std::span<const FitTensor> tensors) {
  int layers = 0;
  for (const FitTensor& t : tensors) layers = std::max(layers, layer_of(t.name) + 1);
  std::vector<double> effects;
  for (const FitTensor& t : tensors) {
    const KnownEffect* known = known_effect(t.name);
    effects.push_back((known == nullptr ? 1.0 : known->effect) * depth_effect(layer_of(t.name), layers));
  }
  return effects;
}

Fit fit(std::span<const FitTensor> tensors, const Noise& noise, std::span<const double> effects,
        const FitOptions& o) {
  check_budget(tensors, o);
  std::vector<std::vector<Option>> items;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    std::vector<Option>& options = items.emplace_back();
    for (const FitFormat& f : noise[i]) options.push_back({f.bytes, f.noise * effects[i]});
  }
  const auto chosen = fill_knapsack(items, o.budget - o.overhead);
  Fit result{{}, o.overhead, 0};
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const FitTensor& t = tensors[i];
    result.tensors.push_back({t.name, t.columns * t.rows, t.fixed, noise[i][(*chosen)[i]], effects[i]});
    result.bytes += result.tensors.back().chosen.bytes;
    result.loss += result.tensors.back().loss();
  }
  return result;
}

Recipe recipe_of(const Fit& fit) {
  Recipe recipe;
  for (const FittedTensor& t : fit.tensors) {
    if (t.fixed) continue;
    std::string pattern = t.name;  // a name from a file may hold what a pattern gives a meaning to
    for (char& c : pattern)
      if (std::string_view("*{},=# ").find(c) != std::string_view::npos) c = '?';
    recipe.lines.push_back({pattern, t.chosen.format});
  }
  return recipe;
}

}  // namespace coterie::quantize
