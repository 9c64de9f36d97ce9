// A GGUF file becomes another one with its matrices in other formats: rows are decoded, encoded and written a
// few megabytes at a time, so that memory does not grow with the model.
#pragma once

#include "gguf/reader.h"
#include "quantize/choose.h"
#include "quantize/imatrix.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace coterie::quantize {

struct PlannedTensor {
  const gguf::TensorInfo* source;
  const FormatInfo* format;

  bool copied() const { return format == source->format; }
  std::uint64_t bytes() const {
    return static_cast<std::uint64_t>(source->rows() * format->row_bytes(source->shape[0]));
  }
};

struct Plan {
  std::vector<PlannedTensor> tensors;  // in the order of the source
  std::uint32_t file_type = 0;         // general.file_type
  std::vector<std::string> warnings;   // one line each, for the user

  std::uint64_t bytes() const;  // of all tensors
  std::int64_t elements() const;
};

struct PlanOptions {
  Wish wish;
  const ImportanceMatrix* importance = nullptr;
  bool allow_requantize = false;  // of formats that have lost something already
};

// Everything decided and checked before any work starts. Throws UsageError: a tensor would be quantised a
// second time and that is not allowed, or a format has no encoder.
Plan make_plan(const gguf::Reader& file, const PlanOptions& options);

struct QuantizeOptions {
  std::string to;
  const ImportanceMatrix* importance = nullptr;
  int threads = 0;                                                        // 0: one per CPU
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;  // bytes written; may be empty
};

// The same bytes for any number of threads. Throws FileError (the source fails meanwhile), DiskFullError or
// Error (the output).
void quantize(const gguf::Reader& file, const Plan& plan, const QuantizeOptions& options);

}  // namespace coterie::quantize
