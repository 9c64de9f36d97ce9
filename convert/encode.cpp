#include "convert/encode.h"

#include "base/errors.h"
#include "base/half.h"
#include "kernels/kernels.h"

#include <omp.h>
#include <algorithm>
#include <array>
#include <atomic>

namespace coterie::convert {

namespace {

// Small enough that Ctrl-C is soon answered whatever the type, large enough for a sync and a team of threads.
constexpr std::int64_t most_bytes = 8 << 20, most_weights = 4 << 20;
constexpr std::int64_t least_weights_for_a_team = 1 << 18;

// n is a multiple of 32: a row of whole blocks. Lanes, so that the loop becomes vector instructions.
bool all_finite(const float* x, std::int64_t n) {
  std::array<std::uint32_t, 8> largest{};
  for (std::int64_t i = 0; i < n; i += 8)
    for (std::size_t j = 0; j < 8; ++j)
      largest[j] = std::max(largest[j], bits_of(x[i + static_cast<std::int64_t>(j)]) & 0x7fffffffU);
  return *std::max_element(largest.begin(), largest.end()) < 0x7f800000U;
}

}  // namespace

Encoder::Encoder(int threads, const quantize::ImportanceMatrix* importance)
    : threads_(threads), importance_(importance) {}

std::int64_t Encoder::rows_at_once(const PlannedTensor& t) {
  return std::max<std::int64_t>(
      1, std::min(most_bytes / t.format->row_bytes(t.shape[0]), most_weights / t.shape[0]));
}

std::span<const std::byte> Encoder::encode(const PlannedTensor& t, std::int64_t first, std::int64_t n) {
  const std::int64_t columns = t.shape[0], row_bytes = t.format->row_bytes(columns);
  const int threads = n * columns > least_weights_for_a_team ? threads_ : 1;
  const Encode encode_row = kernels().encode[t.format->index];
  out_.resize(static_cast<std::size_t>(n * row_bytes));
  read_importance(t, first, n);
  if (std::ssize(row_of_thread_) < threads) row_of_thread_.resize(static_cast<std::size_t>(threads));
  for (std::vector<float>& row : row_of_thread_) row.resize(static_cast<std::size_t>(columns));
  std::atomic<bool> finite{true};
  // Nothing throws among the threads: shapes and types have been checked, buffers are there.
#pragma omp parallel for schedule(dynamic, 4) num_threads(threads)
  for (std::int64_t i = 0; i < n; ++i) {
    float* row = row_of_thread_[static_cast<std::size_t>(omp_get_thread_num())].data();
    t.source.row(first + i, row);
    if (t.format->block_size > 1 && !all_finite(row, columns)) finite = false;
    encode_row(row, importance_of(t, first + i), columns, out_.data() + i * row_bytes);
  }
  if (!finite) throw ModelError("tensor " + t.name + ": a weight is no finite number");
  return out_;
}

// Of the matrices (experts) that the rows belong to.
void Encoder::read_importance(const PlannedTensor& t, std::int64_t first, std::int64_t n) {
  weights_.clear();
  if (importance_ == nullptr || t.exact || !importance_->has(t.name)) return;
  const std::int64_t rows = t.shape[1];
  first_matrix_ = first / rows;
  for (std::int64_t m = first_matrix_; m <= (first + n - 1) / rows; ++m)
    weights_.push_back(importance_->weights(t.name, t.shape[0], m));
}

const float* Encoder::importance_of(const PlannedTensor& t, std::int64_t row) const {
  if (weights_.empty()) return nullptr;
  const std::vector<float>& w = weights_[static_cast<std::size_t>(row / t.shape[1] - first_matrix_)];
  return w.empty() ? nullptr : w.data();
}

}  // namespace coterie::convert
