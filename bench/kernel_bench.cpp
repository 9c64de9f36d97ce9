#include "bench/kernel_bench.h"

#include "device/cpu/cpu.h"
#include "device/onednn/fast.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <random>

namespace coterie::bench {

namespace {

std::vector<float> gauss(std::int64_t n, float deviation) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal(0.0F, deviation);
  std::vector<float> x(static_cast<std::size_t>(n));
  for (float& v : x) v = normal(random);
  return x;
}

// Rows of weights: some are encoded, the others are copies of them.
std::vector<std::byte> make_rows(const FormatInfo& f, std::int64_t n, std::int64_t n_rows) {
  constexpr std::int64_t distinct = 16;
  const std::vector<float> w = gauss(distinct * n, 1 / std::sqrt(static_cast<float>(n)));
  const auto row_bytes = static_cast<std::size_t>(f.row_bytes(n));
  std::vector<std::byte> rows(static_cast<std::size_t>(n_rows) * row_bytes);
  for (std::int64_t r = 0; r < std::min(distinct, n_rows); ++r)
    kernels().encode[f.index](w.data() + r * n, nullptr, n,
                              rows.data() + static_cast<std::size_t>(r) * row_bytes);
  for (std::size_t at = distinct * row_bytes; at < rows.size(); at += distinct * row_bytes)
    std::copy_n(rows.begin(), std::min(distinct * row_bytes, rows.size() - at),
                rows.begin() + static_cast<std::ptrdiff_t>(at));
  return rows;
}

std::vector<std::byte> make_activations(const Kernels& k, const FormatInfo& f, std::int64_t n, int n_tokens) {
  const std::vector<float> x = gauss(n * n_tokens, 1);
  const std::int64_t bytes = activation_bytes(f.activation, n);
  std::vector<std::byte> out(static_cast<std::size_t>(bytes * n_tokens));
  for (int t = 0; t < n_tokens; ++t) {
    const float* from = x.data() + t * n;
    std::byte* to = out.data() + t * bytes;
    if (f.activation == ActivationKind::act256)
      k.quantize_act256(from, n, to);
    else if (f.activation == ActivationKind::act32)
      k.quantize_act32(from, n, to);
    else
      std::copy_n(reinterpret_cast<const std::byte*>(from), bytes, to);
  }
  return out;
}

// The best of several runs, a tenth of a second of them at least.
double best_seconds(const std::function<void()>& work) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  double best = std::numeric_limits<double>::infinity();
  for (int runs = 0; runs < 3 || Clock::now() - begin < std::chrono::milliseconds(100); ++runs) {
    const auto start = Clock::now();
    work();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
  }
  return best;
}

// The usual table does this under its own name.
bool is_another(const Kernels& k, const FormatInfo& f) {
  return &k != &kernels() && k.rows[f.index] == kernels().rows[f.index];
}

}  // namespace

KernelPlan whole_plan() {
  KernelPlan plan;
  for (const FormatInfo& f : all_formats())
    if (f.index >= 0 && kernels().encode[f.index] != nullptr) plan.formats.push_back(&f);
  for (const Kernels* k : all_kernels())
    if (k->runnable()) plan.isas.push_back(k);
  if (fast_kernels() != nullptr) plan.isas.push_back(fast_kernels());
  return plan;
}

void measure_kernels(const KernelPlan& plan, const std::function<void(const KernelResult&)>& sink) {
  constexpr std::int64_t cached_bytes = 256 << 10;
  constexpr std::int64_t rows_for_many = 128;  // of a task (device/cpu/cpu.cpp)
  constexpr std::int64_t memory_bytes = 128 << 20;
  for (const FormatInfo* f : plan.formats)
    for (const std::int64_t n : plan.row_lengths)
      for (const bool from_memory : {false, true}) {
        if (n % f->block_size != 0) continue;
        const std::int64_t rows_for_one =
            std::max<std::int64_t>(8, (from_memory ? memory_bytes : cached_bytes) / f->row_bytes(n) / 8 * 8);
        const std::vector<std::byte> rows = make_rows(*f, n, std::max(rows_for_one, rows_for_many));
        for (const Kernels* k : plan.isas)
          for (const int n_tokens : plan.tokens) {
            if (from_memory && n_tokens > 1) continue;  // what memory gives is the question for one token
            if (is_another(*k, *f)) continue;
            const std::int64_t n_rows = n_tokens > 1 ? rows_for_many : rows_for_one;
            const std::vector<std::byte> x = make_activations(*k, *f, n, n_tokens);
            std::vector<float> y(static_cast<std::size_t>(n_rows * n_tokens));
            const RowsArgs args{.w = rows.data(),
                                .row_bytes = f->row_bytes(n),
                                .n_rows = static_cast<int>(n_rows),
                                .x = x.data(),
                                .x_bytes = activation_bytes(f->activation, n),
                                .n_tokens = n_tokens,
                                .n = n,
                                .y = y.data(),
                                .y_stride = n_rows};
            const double seconds = best_seconds([&] { k->rows[f->index](args); });
            sink({f, k->isa, n, n_tokens, from_memory, seconds, static_cast<double>(n_rows * f->row_bytes(n)),
                  2.0 * static_cast<double>(n_rows * n) * n_tokens});
          }
      }
}

}  // namespace coterie::bench
