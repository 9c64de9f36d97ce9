#include "device/cpu/cpu.h"

#include "formats/activation.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace coterie {

namespace {

// What one unpacking of the weights serves (kernels/x86/panel.h), and whose results stay in the second-level
// cache.
constexpr std::int64_t tokens_per_task = 128;

// A few tokens are bound by the memory: about this many weight bytes, small enough that a thread which loses its
// core delays little, large enough that claiming costs nothing and the stream of rows stays long. Many tokens are
// gathered once per task: enough rows to make that cheap.
std::int64_t rows_per_task(const Matrix& w, std::int64_t n_tokens) {
  constexpr std::int64_t task_bytes = 96 << 10;
  if (n_tokens >= 8) return 128;
  const std::int64_t rows =
      std::clamp<std::int64_t>(task_bytes / std::max<std::int64_t>(1, w.row_bytes()), 16, 256);
  return rows & ~std::int64_t{15};
}

}  // namespace

Pieces::Pieces(std::int64_t rows, std::int64_t rows_per_piece, std::int64_t tokens)
    : n_rows(rows), rows_each(rows_per_piece), n_tokens(tokens) {
  const std::int64_t shares = blocks_of(tokens, tokens_per_task);
  tokens_each = (blocks_of(tokens, shares) + 7) & ~std::int64_t{7};
}

Pieces::Pieces(const Matrix& w, std::int64_t tokens) : Pieces(w.rows, rows_per_task(w, tokens), tokens) {}

Pieces::Piece Pieces::piece(int task) const {
  const int token_pieces = blocks_of(n_tokens, tokens_each);
  const std::int64_t row = task / token_pieces * rows_each;
  const std::int64_t token = task % token_pieces * tokens_each;
  return {row, std::min(rows_each, n_rows - row), static_cast<int>(token),
          static_cast<int>(std::min(tokens_each, n_tokens - token))};
}

std::int64_t activation_bytes(ActivationKind kind, std::int64_t n) {
  if (kind == ActivationKind::act32) return n / Act32::block_size * static_cast<std::int64_t>(sizeof(Act32));
  if (kind == ActivationKind::act256)
    return n / Act256::block_size * static_cast<std::int64_t>(sizeof(Act256));
  return n * static_cast<std::int64_t>(sizeof(float));
}

Activations::Activations(std::int64_t max_tokens, std::int64_t n, const char* what)
    : n_(n), floats_(max_tokens * n, what) {
  if (n % Act32::block_size == 0)
    act32_ = Buffer<std::byte>(max_tokens * activation_bytes(ActivationKind::act32, n), what);
  if (n % Act256::block_size == 0)
    act256_ = Buffer<std::byte>(max_tokens * activation_bytes(ActivationKind::act256, n), what);
}

ActivationRows Activations::inputs(ActivationKind kind, std::int64_t n_tokens) const {
  const std::byte* data = kind == ActivationKind::act32 ? act32_.data()
                          : kind == ActivationKind::act256
                              ? act256_.data()
                              : reinterpret_cast<const std::byte*>(floats_.data());
  return {data, activation_bytes(kind, n_), static_cast<int>(n_tokens)};
}

Cpu::Cpu(const Kernels& kernels, Team& team)
    : kernels_(kernels), team_(team), scratch_(static_cast<std::size_t>(team.threads())) {}

void Cpu::reserve_scratch(std::int64_t floats) {
  for (Buffer<float>& s : scratch_)
    if (s.size() < floats) s = Buffer<float>(floats, "worker scratch");
}

void Cpu::embed(const Matrix& table, std::span<const std::int32_t> ids, float* x) {
  team_.run(static_cast<int>(ids.size()), [&](int token, int) {
    const std::int64_t row = ids[static_cast<std::size_t>(token)];
    table.format->decode(table.row(row), table.n, x + token * table.n);
  });
}

void Cpu::rms_norm(const float* x, const float* weight, float eps, std::int64_t n_tokens, Activations& y) {
  y.changed();
  team_.run(static_cast<int>(n_tokens), [&](int token, int) {
    kernels_.rms_norm(x + token * y.n(), weight, y.n(), eps, y.floats(token));
  });
}

void Cpu::add(const float* x, std::int64_t n, float* y) {
  constexpr std::int64_t piece = 8192;
  team_.run(blocks_of(n, piece),
            [&](int i, int) { kernels_.add(x + i * piece, std::min(piece, n - i * piece), y + i * piece); });
}

void Cpu::quantize_row(ActivationKind kind, const float* x, std::int64_t n, std::byte* out) const {
  if (kind == ActivationKind::act32)
    kernels_.quantize_act32(x, n, out);
  else if (kind == ActivationKind::act256)
    kernels_.quantize_act256(x, n, out);
  else
    std::memcpy(out, x, static_cast<std::size_t>(n) * sizeof(float));
}

void Cpu::quantize(Activations& x, ActivationKind kind, std::int64_t n_tokens) {
  if (kind == ActivationKind::f32) return;
  bool& done = x.quantized_[kind == ActivationKind::act256];
  if (done) return;
  done = true;
  std::byte* out = kind == ActivationKind::act32 ? x.act32_.data() : x.act256_.data();
  // One token is quantised in less time than the team needs to meet.
  if (n_tokens == 1) return quantize_row(kind, x.floats(), x.n(), out);
  // A multiple of both block sizes; the last piece may be shorter.
  constexpr std::int64_t piece = 1024;
  const int pieces = blocks_of(x.n(), piece);
  team_.run(static_cast<int>(n_tokens) * pieces, [&](int task, int) {
    const std::int64_t token = task / pieces;
    const std::int64_t first = task % pieces * piece;
    quantize_row(kind, x.floats(token) + first, std::min(piece, x.n() - first),
                 out + token * activation_bytes(kind, x.n()) + activation_bytes(kind, first));
  });
}

void Cpu::rows(const Matrix& w, const ActivationRows& x, float* y, std::int64_t y_stride) const {
  kernels_.rows[w.format->index]({.w = w.data,
                                  .row_bytes = w.row_bytes(),
                                  .n_rows = static_cast<int>(w.rows),
                                  .x = x.data,
                                  .x_bytes = x.token_bytes,
                                  .n_tokens = x.n_tokens,
                                  .n = w.n,
                                  .y = y,
                                  .y_stride = y_stride,
                                  .token_of = x.token_of});
}

void Cpu::observe(const Matrix& w, const Inputs& rows) {
  if (observer_ == nullptr) return;
  constexpr std::int64_t piece = 256;
  team_.run(blocks_of(w.n, piece), [&](int i, int) {
    Inputs part = rows;
    part.first_column = i * piece;
    part.n_columns = std::min(piece, w.n - part.first_column);
    part.x += part.first_column;
    observer_->saw(w, part);
  });
}

void Cpu::matmul(std::initializer_list<Product> products, Activations& x, std::int64_t n_tokens) {
  std::array<int, most_products> counts{};
  std::size_t n_lists = 0;
  for (const Product& p : products) {
    reads(p.w.bytes());
    observe(p.w, {x.floats(), x.n(), n_tokens});
    quantize(x, p.w.format->activation, n_tokens);
    counts.at(n_lists++) = Pieces(p.w, n_tokens).count();
  }
  team_.run_lists({counts.data(), n_lists}, [&](int list, int task, int) {
    const Product& p = products.begin()[list];
    const Pieces::Piece piece = Pieces(p.w, n_tokens).piece(task);
    rows(p.w.rows_at(piece.row, piece.n_rows),
         x.inputs(p.w.format->activation, n_tokens).some(piece.token, piece.n_tokens),
         p.y + piece.token * p.y_stride + piece.row, p.y_stride);
  });
}

void Cpu::matmul_heads(const HeadsArgs& a, std::int64_t n_tokens) {
  reads(a.w.count * a.n_rows * a.w.row_bytes());
  const int n_heads = static_cast<int>(a.w.count);
  if (a.n_rows == a.w.rows)
    for (int head = 0; head < n_heads; ++head)
      observe(a.w.at(head), {a.x + head * a.x_head_stride, a.x_token_stride, n_tokens});
  const ActivationKind kind = a.w.format->activation;
  team_.run(n_heads * static_cast<int>(n_tokens), [&](int task, int worker) {
    const std::int64_t head = task / n_tokens;
    const std::int64_t token = task % n_tokens;
    std::byte* x = reinterpret_cast<std::byte*>(scratch(worker));
    quantize_row(kind, a.x + token * a.x_token_stride + head * a.x_head_stride, a.w.n, x);
    rows(a.w.rows_at(head * a.w.rows + a.first_row, a.n_rows), {x, activation_bytes(kind, a.w.n), 1},
         a.y + token * a.y_token_stride + head * a.y_head_stride, 0);
  });
}

}  // namespace coterie
