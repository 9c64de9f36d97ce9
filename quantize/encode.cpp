#include "quantize/encode.h"

#include "base/errors.h"
#include "base/half.h"
#include "kernels/kernels.h"

#include <omp.h>
#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <exception>
#include <mutex>
#include <span>
#include <vector>

namespace coterie::quantize {

namespace {

// Small enough to divide a small tensor among many threads and to answer Ctrl-C soon, large enough to be written.
constexpr std::uint64_t bytes_between_releases = 16 << 20;
constexpr std::int64_t least_weights = 64 << 10, most_weights = 2 << 20, strips_per_thread = 8;

// n is a multiple of 32: a row of whole blocks. Lanes, so that the loop becomes vector instructions.
bool all_finite(const float* x, std::int64_t n) {
  std::array<std::uint32_t, 8> largest{};
  for (std::int64_t i = 0; i < n; i += 8)
    for (std::size_t j = 0; j < 8; ++j)
      largest[j] = std::max(largest[j], bits_of(x[i + static_cast<std::int64_t>(j)]) & 0x7fffffffU);
  return *std::max_element(largest.begin(), largest.end()) < 0x7f800000U;
}

// What the threads share while a tensor is written.
class Work {
 public:
  Work(const Encoder& encoder, gguf::Writer& file, int tensor, const RowSource& source)
      : e_(encoder),
        file_(file),
        tensor_(tensor),
        s_(source),
        weighted_(encoder.importance != nullptr && !source.copy && source.format->block_size > 1),
        most_threads_(encoder.threads > 0 ? encoder.threads : omp_get_max_threads()),
        row_bytes_(source.format->row_bytes(source.columns)) {
    next_ = static_cast<std::int64_t>(file.done(tensor)) / row_bytes_;
    const std::int64_t weights = (source.rows - next_) * source.columns;
    strip_ = std::max<std::int64_t>(
        1, std::clamp(weights / (most_threads_ * strips_per_thread), least_weights, most_weights) /
               source.columns);
  }

  int threads() const {
    return static_cast<int>(std::clamp<std::int64_t>((s_.rows - next_) / strip_, 1, most_threads_));
  }

  // Until no strip is left. Never throws.
  void run(bool reports) {
    try {
      std::vector<float> row(static_cast<std::size_t>(s_.copy ? 0 : s_.columns));
      std::vector<float> importance;
      std::int64_t matrix = -1;
      std::vector<std::byte> out;
      for (std::int64_t first; (first = next_.fetch_add(strip_)) < s_.rows && !failed_;) {
        const std::int64_t n = std::min(strip_, s_.rows - first);
        out.resize(static_cast<std::size_t>(n * row_bytes_));
        for (std::int64_t i = 0; i < n; ++i) {
          if (const std::int64_t m = (first + i) / s_.rows_per_matrix; weighted_ && m != matrix)
            importance = e_.importance->weights(s_.name, s_.columns, matrix = m);
          encode(first + i, row.data(), importance.empty() ? nullptr : importance.data(),
                 out.data() + i * row_bytes_);
        }
        write(first, out);
        if (reports) report();
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failed_.exchange(true)) error_ = std::current_exception();
    }
  }

  void finish() {
    if (error_) std::rethrow_exception(error_);
    report();
    if (e_.release_source) e_.release_source();
  }

 private:
  void encode(std::int64_t row, float* weights, const float* importance, std::byte* out) const {
    if (s_.copy) {
      std::memcpy(out, s_.copy(row), static_cast<std::size_t>(row_bytes_));
      return;
    }
    s_.make(row, weights);
    if (s_.format->block_size > 1 && !all_finite(weights, s_.columns))
      throw ModelError("tensor " + s_.name + ": a weight is no finite number");
    kernels().encode[s_.format->index](weights, importance, s_.columns, out);
  }

  // Bytes made of a page that could not be read must never be written, since they would count as done.
  void write(std::int64_t first, std::span<const std::byte> bytes) {
    if (e_.check_source) e_.check_source();
    file_.write(tensor_, static_cast<std::uint64_t>(first * row_bytes_), bytes);
    unreported_ += bytes.size();
  }

  void report() {
    const std::uint64_t bytes = unreported_.exchange(0);
    if (e_.wrote && bytes > 0) e_.wrote(bytes);
    unreleased_ += bytes;
    if (!e_.release_source || unreleased_ <= bytes_between_releases) return;
    e_.release_source();
    unreleased_ = 0;
  }

  const Encoder& e_;
  gguf::Writer& file_;
  const int tensor_;
  const RowSource& s_;
  const bool weighted_;
  const int most_threads_;
  const std::int64_t row_bytes_;
  std::uint64_t unreleased_ = 0;  // of the thread that reports
  std::int64_t strip_ = 1;
  std::atomic<std::int64_t> next_{0};
  std::atomic<std::uint64_t> unreported_{0};
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  std::exception_ptr error_;
};

}  // namespace

void Encoder::write(gguf::Writer& file, int tensor, const RowSource& source) const {
  Work work(*this, file, tensor, source);
#pragma omp parallel num_threads(work.threads())
  work.run(omp_get_thread_num() == 0);
  work.finish();
}

}  // namespace coterie::quantize
