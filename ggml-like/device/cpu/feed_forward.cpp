#include "device/cpu/feed_forward.h"

#include <algorithm>
#include <cstring>

namespace coterie {

namespace {

// Inner rows per task: whole blocks of every activation form, so that a task can re-quantise what it has
// computed.
constexpr std::int64_t inner_rows = 256;

constexpr std::int64_t float_bytes = sizeof(float);

}  // namespace

FeedForwardRunner::FeedForwardRunner(Cpu& cpu, const Sizes& sizes) : sizes_(sizes) {
  const std::int64_t routed_slots = sizes.max_tokens * sizes.per_token;
  const std::int64_t plain_slots = sizes.shared_inner > 0 ? sizes.max_tokens : 0;
  jobs_.reserve(static_cast<std::size_t>(sizes.n_experts) + 1);
  slot_token_.resize(static_cast<std::size_t>(routed_slots));
  slot_of_.resize(static_cast<std::size_t>(routed_slots));
  expert_begin_.resize(static_cast<std::size_t>(sizes.n_experts) + 1);
  inner_ = Buffer<std::byte>((routed_slots * sizes.inner + plain_slots * sizes.shared_inner) * float_bytes,
                             "feed-forward activations");
  out_ = Buffer<float>((routed_slots + plain_slots) * sizes.dim, "feed-forward output");
  cpu.reserve_scratch(2 * inner_rows * sizes.max_tokens);
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

void FeedForwardRunner::run_jobs(Cpu& cpu, Activations& h, std::int64_t n_tokens) {
  for (const Job& job : jobs_) cpu.reads(job.gate.bytes() + job.up.bytes() + job.down.bytes());
  const auto up_pieces = [&](const Job& job) {
    Pieces pieces(job.gate.rows, inner_rows, job.count);
    if (cpu.observer() != nullptr) pieces.tokens_each = job.count;  // it sees all tokens of a column in order
    return pieces;
  };
  const auto down_pieces = [](const Job& job) { return Pieces(job.down, job.count); };
  int up_tasks = 0;
  int down_tasks = 0;
  for (const Job& job : jobs_) {
    cpu.quantize(h, job.gate.format->activation, n_tokens);
    cpu.quantize(h, job.up.format->activation, n_tokens);
    const int* tokens = job.gathered ? &slot_token_[static_cast<std::size_t>(job.first)] : nullptr;
    for (const Matrix& w : {job.gate, job.up}) cpu.observe(w, {h.floats(), h.n(), job.count, tokens});
    up_tasks += up_pieces(job).count();
    down_tasks += down_pieces(job).count();
  }
  cpu.team().run(up_tasks, [&](int task, int worker) {
    const Job* job = jobs_.data();
    for (int tasks; task >= (tasks = up_pieces(*job).count()); ++job) task -= tasks;
    up_task(cpu, h, *job, up_pieces(*job).piece(task), cpu.scratch(worker));
  });
  cpu.team().run(down_tasks, [&](int task, int) {
    const Job* job = jobs_.data();
    for (int tasks; task >= (tasks = down_pieces(*job).count()); ++job) task -= tasks;
    const Pieces::Piece piece = down_pieces(*job).piece(task);
    const ActivationRows x{job->inner, activation_bytes(job->down.format->activation, job->down.n), job->count};
    cpu.rows(job->down.rows_at(piece.row, piece.n_rows), x.some(piece.token, piece.n_tokens),
             out_.data() + (job->first + piece.token) * sizes_.dim + piece.row, sizes_.dim);
  });
}

void FeedForwardRunner::dense(Cpu& cpu, const FeedForward& network, Activations& h, std::int64_t n_tokens,
                              float* x) {
  const Span span(cpu.profile(), "dense");
  jobs_.clear();
  jobs_.push_back(
      {network.gate, network.up, network.down, 0, static_cast<int>(n_tokens), inner_.data(), false});
  run_jobs(cpu, h, n_tokens);
  cpu.add(out_.data(), n_tokens * sizes_.dim, x);
}

void FeedForwardRunner::moe(Cpu& cpu, const Moe& moe, Activations& h, std::int64_t n_tokens, float* x) {
  const Span span(cpu.profile(), "experts");
  const std::int64_t routed_slots = n_tokens * moe.routes.per_token;
  jobs_.clear();
  if (cpu.observer() != nullptr)
    cpu.observer()->routed(cpu, {moe.experts, moe.routes, h, n_tokens});
  sort_by_expert(moe.routes, n_tokens);
  add_routed(moe.experts);
  if (moe.shared != nullptr)
    jobs_.push_back({moe.shared->gate, moe.shared->up, moe.shared->down, routed_slots,
                     static_cast<int>(n_tokens), inner_.data() + routed_slots * sizes_.inner * float_bytes,
                     false});
  run_jobs(cpu, h, n_tokens);

  constexpr std::int64_t piece = 1024;
  const int pieces = blocks_of(sizes_.dim, piece);
  cpu.team().run(static_cast<int>(n_tokens) * pieces, [&](int task, int) {
    const std::int64_t token = task / pieces;
    const std::int64_t at = task % pieces * piece;
    const std::int64_t n = std::min(piece, sizes_.dim - at);
    alignas(64) float sum[piece] = {};
    for (std::int64_t i = token * moe.routes.per_token; i < (token + 1) * moe.routes.per_token; ++i)
      cpu.kernels().axpy(moe.routes.weights[static_cast<std::size_t>(i)],
                         out_.data() + slot_of_[static_cast<std::size_t>(i)] * sizes_.dim + at, n, sum);
    if (moe.shared != nullptr)
      cpu.kernels().add(out_.data() + (routed_slots + token) * sizes_.dim + at, n, sum);
    cpu.kernels().add(sum, n, x + token * sizes_.dim + at);
  });
}

}  // namespace coterie
