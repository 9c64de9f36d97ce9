#include "device/cpu/feed_forward.h"

#include <algorithm>
#include <cstring>

namespace coterie {

namespace {

// Inner rows per task: whole blocks of every activation form, so that a task can re-quantise what it has
// computed.
constexpr std::int64_t inner_rows = 256;

constexpr std::int64_t float_bytes = sizeof(float);

// Up to so many tokens, down and sum are one list: what its tasks keep fits the first-level cache, and products of
// so few inputs gain nothing from the wider tasks of many.
constexpr std::int64_t few_tokens = 7;
constexpr std::int64_t few_rows = 32;

// Rows summed at once by a task of many tokens.
constexpr std::int64_t sum_rows = 1024;

}  // namespace

FeedForwardRunner::FeedForwardRunner(Cpu& cpu, const Sizes& sizes) : sizes_(sizes) {
  const std::int64_t routed_slots = sizes.max_tokens * sizes.per_token;
  const std::int64_t plain_slots = sizes.shared_inner > 0 ? sizes.max_tokens : 0;
  jobs_.reserve(static_cast<std::size_t>(sizes.n_experts) + 1);
  counts_.reserve(jobs_.capacity());
  slot_token_.resize(static_cast<std::size_t>(routed_slots));
  slot_of_.resize(static_cast<std::size_t>(routed_slots));
  expert_begin_.resize(static_cast<std::size_t>(sizes.n_experts) + 1);
  inner_ = Buffer<std::byte>((routed_slots * sizes.inner + plain_slots * sizes.shared_inner) * float_bytes,
                             "feed-forward activations");
  out_ = Buffer<float>((routed_slots + plain_slots) * sizes.dim, "feed-forward output");
  cpu.reserve_scratch(2 * inner_rows * sizes.max_tokens);
  cpu.reserve_scratch(few_tokens * (sizes.per_token + 1) * few_rows);
}

// Counting sort of (token, rank) by expert; within an expert tokens stay in order.
void FeedForwardRunner::sort_by_expert(const Routes& routes, std::int64_t n_tokens) {
  const std::int64_t n = n_tokens * routes.per_token;
  std::fill(expert_begin_.begin(), expert_begin_.end(), 0);
  for (std::int64_t i = 0; i < n; ++i)
    ++expert_begin_[static_cast<std::size_t>(routes.ids[static_cast<std::size_t>(i)]) + 1];
  for (std::size_t e = 1; e < expert_begin_.size(); ++e) expert_begin_[e] += expert_begin_[e - 1];
  for (std::int64_t i = 0; i < n; ++i) {
    const auto expert = static_cast<std::size_t>(routes.ids[static_cast<std::size_t>(i)]);
    const int slot = expert_begin_[expert]++;
    slot_token_[static_cast<std::size_t>(slot)] = static_cast<int>(i / routes.per_token);
    slot_of_[static_cast<std::size_t>(i)] = slot;
  }
  // Each entry has moved to the next expert's beginning.
  std::copy_backward(expert_begin_.begin(), expert_begin_.end() - 1, expert_begin_.end());
  expert_begin_[0] = 0;
}

void FeedForwardRunner::add_routed(const FeedForward& experts) {
  const std::int64_t inner_bytes = activation_bytes(experts.down.format->activation, experts.down.n);
  for (std::int64_t e = 0; e < sizes_.n_experts; ++e) {
    const int first = expert_begin_[static_cast<std::size_t>(e)];
    const int count = expert_begin_[static_cast<std::size_t>(e) + 1] - first;
    if (count == 0) continue;
    jobs_.push_back({.gate = experts.gate.at(e),
                     .up = experts.up.at(e),
                     .down = experts.down.at(e),
                     .first = first,
                     .count = count,
                     .inner = inner_.data() + first * inner_bytes,
                     .gathered = true});
  }
}

ActivationRows FeedForwardRunner::inputs(const Activations& h, const Job& job, ActivationKind kind) const {
  ActivationRows x = h.inputs(kind, job.count);
  if (job.gathered) x.token_of = &slot_token_[static_cast<std::size_t>(job.first)];
  return x;
}

// inner[slot][row ...] = silu(gate h) * up h, re-quantised, for some rows and some of the slots.
void FeedForwardRunner::up_task(Cpu& cpu, const Activations& h, const Job& job, const Pieces::Piece& piece,
                                float* scratch) {
  float* gate = scratch;
  float* up = gate + piece.n_tokens * inner_rows;
  const auto product = [&](const Matrix& w, float* y) {
    cpu.rows(w.rows_at(piece.row, piece.n_rows),
             inputs(h, job, w.format->activation).some(piece.token, piece.n_tokens), y, inner_rows);
  };
  product(job.gate, gate);
  product(job.up, up);
  const ActivationKind kind = job.down.format->activation;
  std::byte* inner =
      job.inner + piece.token * activation_bytes(kind, job.down.n) + activation_bytes(kind, piece.row);
  for (int i = 0; i < piece.n_tokens; ++i) {
    float* x = gate + i * inner_rows;
    cpu.kernels().swiglu(x, up + i * inner_rows, piece.n_rows, x);
    cpu.quantize_row(kind, x, piece.n_rows, inner + i * activation_bytes(kind, job.down.n));
  }
  if (cpu.observer() != nullptr)
    cpu.observer()->saw(job.down, {gate, inner_rows, piece.n_tokens, nullptr, piece.row, piece.n_rows});
}

void FeedForwardRunner::up_list(Cpu& cpu, Activations& h, std::int64_t n_tokens) {
  const auto pieces_of = [&](const Job& job) {
    Pieces pieces(job.gate.rows, inner_rows, job.count);
    if (cpu.observer() != nullptr) pieces.tokens_each = job.count;  // it sees all tokens of a column in order
    return pieces;
  };
  counts_.clear();
  for (const Job& job : jobs_) {
    cpu.quantize(h, job.gate.format->activation, n_tokens);
    cpu.quantize(h, job.up.format->activation, n_tokens);
    const int* tokens = job.gathered ? &slot_token_[static_cast<std::size_t>(job.first)] : nullptr;
    for (const Matrix& w : {job.gate, job.up}) cpu.observe(w, {h.floats(), h.n(), job.count, tokens});
    counts_.push_back(pieces_of(job).count());
  }
  cpu.team().run_lists(counts_, [&](int list, int task, int worker) {
    const Job& job = jobs_[static_cast<std::size_t>(list)];
    up_task(cpu, h, job, pieces_of(job).piece(task), cpu.scratch(worker));
  });
}

void FeedForwardRunner::down_list(Cpu& cpu) {
  counts_.clear();
  for (const Job& job : jobs_) counts_.push_back(Pieces(job.down, job.count).count());
  cpu.team().run_lists(counts_, [&](int list, int task, int) {
    const Job& job = jobs_[static_cast<std::size_t>(list)];
    const Pieces::Piece piece = Pieces(job.down, job.count).piece(task);
    const ActivationRows x{job.inner, activation_bytes(job.down.format->activation, job.down.n), job.count};
    cpu.rows(job.down.rows_at(piece.row, piece.n_rows), x.some(piece.token, piece.n_tokens),
             out_.data() + (job.first + piece.token) * sizes_.dim + piece.row, sizes_.dim);
  });
}

void FeedForwardRunner::sum(const Kernels& kernels, Results results, std::int64_t token, std::int64_t n,
                            float* x) const {
  const auto result = [&](std::int64_t slot) { return results.data + slot * results.stride; };
  if (routes_ == nullptr) return kernels.add(result(plain_slot_ + token), n, x);
  alignas(64) float sum[sum_rows] = {};
  for (std::int64_t i = token * routes_->per_token; i < (token + 1) * routes_->per_token; ++i)
    kernels.axpy(routes_->weights[static_cast<std::size_t>(i)], result(slot_of_[static_cast<std::size_t>(i)]),
                 n, sum);
  if (plain_slot_ >= 0) kernels.add(result(plain_slot_ + token), n, sum);
  kernels.add(sum, n, x);
}

void FeedForwardRunner::sum_list(Cpu& cpu, std::int64_t n_tokens, float* x) {
  const int pieces = blocks_of(sizes_.dim, sum_rows);
  cpu.team().run(static_cast<int>(n_tokens) * pieces, [&](int task, int) {
    const std::int64_t token = task / pieces;
    const std::int64_t row = task % pieces * sum_rows;
    sum(cpu.kernels(), {out_.data() + row, sizes_.dim}, token, std::min(sum_rows, sizes_.dim - row),
        x + token * sizes_.dim + row);
  });
}

void FeedForwardRunner::down_and_sum_list(Cpu& cpu, std::int64_t n_tokens, float* x) {
  cpu.team().run(blocks_of(sizes_.dim, few_rows), [&](int task, int worker) {
    const std::int64_t row = task * few_rows;
    const std::int64_t n = std::min(few_rows, sizes_.dim - row);
    float* const results = cpu.scratch(worker);
    for (const Job& job : jobs_)
      cpu.rows(job.down.rows_at(row, n),
               {job.inner, activation_bytes(job.down.format->activation, job.down.n), job.count},
               results + job.first * few_rows, few_rows);
    for (std::int64_t token = 0; token < n_tokens; ++token)
      sum(cpu.kernels(), {results, few_rows}, token, n, x + token * sizes_.dim + row);
  });
}

// x += what the jobs give.
void FeedForwardRunner::run_jobs(Cpu& cpu, Activations& h, std::int64_t n_tokens, float* x) {
  for (const Job& job : jobs_) cpu.reads(job.gate.bytes() + job.up.bytes() + job.down.bytes());
  up_list(cpu, h, n_tokens);
  if (n_tokens <= few_tokens) return down_and_sum_list(cpu, n_tokens, x);
  down_list(cpu);
  sum_list(cpu, n_tokens, x);
}

void FeedForwardRunner::dense(Cpu& cpu, const FeedForward& network, Activations& h, std::int64_t n_tokens,
                              float* x) {
  const Span span(cpu.profile(), "dense");
  jobs_.clear();
  routes_ = nullptr;
  plain_slot_ = 0;
  jobs_.push_back(
      {network.gate, network.up, network.down, 0, static_cast<int>(n_tokens), inner_.data(), false});
  run_jobs(cpu, h, n_tokens, x);
}

void FeedForwardRunner::moe(Cpu& cpu, const Moe& moe, Activations& h, std::int64_t n_tokens, float* x) {
  const Span span(cpu.profile(), "experts");
  const std::int64_t routed_slots = n_tokens * moe.routes.per_token;
  jobs_.clear();
  routes_ = &moe.routes;
  plain_slot_ = moe.shared != nullptr ? routed_slots : -1;
  if (cpu.observer() != nullptr) cpu.observer()->routed(cpu, {moe.experts, moe.routes, h, n_tokens});
  sort_by_expert(moe.routes, n_tokens);
  add_routed(moe.experts);
  if (moe.shared != nullptr)
    jobs_.push_back({moe.shared->gate, moe.shared->up, moe.shared->down, routed_slots,
                     static_cast<int>(n_tokens), inner_.data() + routed_slots * sizes_.inner * float_bytes,
                     false});
  run_jobs(cpu, h, n_tokens, x);
}

}  // namespace coterie
