// Rows of a planned tensor in their format: made and encoded by all threads, a few megabytes at a time.
#pragma once

#include "convert/plan.h"
#include "quantize/imatrix.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace coterie::convert {

class Encoder {
 public:
  Encoder(int threads, const quantize::ImportanceMatrix* importance);  // nullptr: all weights count alike

  static std::int64_t rows_at_once(const PlannedTensor& t);

  // Rows [first, first + n), n at most rows_at_once(); valid until the next call. Throws ModelError where a block format
  // would get a weight that is no finite number. The bytes do not depend on the number of threads, or on how rows are cut.
  std::span<const std::byte> encode(const PlannedTensor& t, std::int64_t first, std::int64_t n);

 private:
  void read_importance(const PlannedTensor& t, std::int64_t first, std::int64_t n);
  const float* importance_of(const PlannedTensor& t, std::int64_t row) const;

  const int threads_;
  const quantize::ImportanceMatrix* importance_;
  std::int64_t first_matrix_ = 0;
  std::vector<std::vector<float>> weights_;  // [matrices of the rows][columns]
  std::vector<std::vector<float>> row_of_thread_;
  std::vector<std::byte> out_;
};

}  // namespace coterie::convert
