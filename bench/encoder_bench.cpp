#include "bench/encoder_bench.h"

#include "base/json.h"
#include "convert/safetensors.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <random>
#include <span>

namespace coterie::bench {

namespace {

using Floats = std::vector<float>;

// importance, of one row, goes with every row; empty: none.
double rms_error(const FormatInfo& f, const Floats& x, const Floats& importance) {
  const auto n = static_cast<std::int64_t>(x.size());
  const auto columns = importance.empty() ? n : static_cast<std::int64_t>(importance.size());
  std::vector<std::byte> blocks(static_cast<std::size_t>(f.row_bytes(n)));
  for (std::int64_t at = 0; at < n; at += columns)
    kernels().encode[f.index](x.data() + at, importance.empty() ? nullptr : importance.data(), columns,
                              blocks.data() + f.row_bytes(at));
  Floats w(x.size());
  f.decode(blocks.data(), n, w.data());
  double sum = 0, weights = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double e = static_cast<double>(w[i]) - static_cast<double>(x[i]);
    const double weight = importance.empty() ? 1.0 : static_cast<double>(importance[i % importance.size()]);
    sum += weight * e * e;
    weights += weight;
  }
  return std::sqrt(sum / weights);
}

double best_seconds(double at_least, const std::function<void()>& work) {
  using Clock = std::chrono::steady_clock;
  const auto since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  const auto begin = Clock::now();
  double best = std::numeric_limits<double>::infinity();
  for (int runs = 0; runs < 2 || since(begin) < at_least; ++runs) {
    const auto start = Clock::now();
    work();
    best = std::min(best, since(start));
  }
  return best;
}

}  // namespace

EncoderPlan whole_encoder_plan() {
  EncoderPlan plan;
  for (const FormatInfo& f : all_formats())
    if (f.encode != nullptr) plan.formats.push_back(&f);
  for (const Kernels* k : all_kernels())
    if (k->runnable()) plan.isas.push_back(k);
  return plan;
}

void compare_encoders(const EncoderPlan& plan, const std::string& folder,
                      const std::function<void(const EncoderQuality&)>& sink) {
  const auto reference = read_json(folder + "/quantize.json", {1 << 20, 8});
  const convert::SafeTensors tensors(folder + "/quantize.safetensors");
  const Floats importance = to_float(tensors.get("imatrix"));
  for (const FormatInfo* f : plan.formats)
    for (const convert::SafeTensor& t : tensors.tensors()) {
      if (!t.name.starts_with("x_")) continue;
      const std::string rows = t.name.substr(2);
      for (const bool weighted : {false, true}) {
        const auto figures = reference.find(f->name + ("." + rows) + (weighted ? ".im" : ".plain"));
        if (figures == reference.end()) continue;
        const double ours = rms_error(*f, to_float(t), weighted ? importance : Floats{});
        sink({f, rows, weighted, ours, figures->at(weighted ? "weighted_rmse" : "rmse").get<double>()});
      }
    }
}

void time_encoders(const EncoderPlan& plan, const std::function<void(const EncoderSpeed&)>& sink) {
  constexpr std::int64_t n = 1 << 14;
  std::mt19937 random(11);
  std::normal_distribution<float> normal(0.0F, 0.02F);
  Floats x(n), importance(n);
  for (float& v : x) v = normal(random);
  for (float& v : importance) v = std::exp(50 * normal(random));
  for (const FormatInfo* f : plan.formats) {
    std::vector<std::byte> blocks(static_cast<std::size_t>(f->row_bytes(n)));
    for (const Kernels* k : plan.isas)
      for (const bool weighted : {false, true}) {
        const double seconds = best_seconds(plan.seconds, [&] {
          k->encode[f->index](x.data(), weighted ? importance.data() : nullptr, n, blocks.data());
        });
        sink({f, k->isa, weighted, static_cast<double>(n) / seconds});
      }
  }
}

}  // namespace coterie::bench
