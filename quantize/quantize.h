// A GGUF file becomes another one with its matrices in other formats: rows are decoded, encoded and written strip by
// strip, so that memory does not grow with the model.
//
// A journal beside the file (OUT.gguf.journal, gguf/journal.h) lets the same command go on where it was stopped.
#pragma once

#include "gguf/journal.h"
#include "gguf/reader.h"
#include "gguf/writer.h"
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
};

struct Plan {
  std::vector<PlannedTensor> tensors;  // in the order of the source
  std::uint32_t file_type = 0;         // general.file_type
  std::vector<std::string> warnings;   // one line each, for the user
};

struct PlanOptions {
  Wish wish;
  const ImportanceMatrix* importance = nullptr;
  bool allow_requantize = false;  // of formats that have lost something already
};

// Every tensor's format, chosen and checked. Throws UsageError: a tensor would be quantised a second time and that is not
// allowed, or a format has no encoder.
Plan make_plan(const gguf::Reader& file, const PlanOptions& options);

struct QuantizeOptions {
  std::string from, to;  // .gguf files
  PlanOptions plan;
  gguf::Facts facts;              // what the user asked for: a journal goes on under the same facts only
  std::uint64_t split_bytes = 0;  // most bytes per file; 0: no split
  int threads = 0;                // 0: one per CPU
  gguf::JournalOptions journal;
  std::function<void(std::uint64_t done, std::uint64_t total)>
      progress;  // bytes written; may be empty, may throw
};

class Quantization {
 public:
  // Decides and checks everything before any work starts. Throws FileError or ModelError (the source), UsageError (what
  // make_plan throws, a target that is the source).
  explicit Quantization(const QuantizeOptions& options);

  const gguf::Reader& source() const { return source_; }
  const Plan& plan() const { return plan_; }
  const gguf::Writer& file() const { return file_; }  // laid out

  // Writes the file, or goes on with it: the same bytes for any number of threads. Throws FileError (the source fails
  // meanwhile), ModelError (a weight is no finite number), DiskFullError or Error (the output), and what gguf::Journal
  // throws. No file has appeared then, and what is done stays for the next run.
  void run();

 private:
  gguf::Work work() const;

  QuantizeOptions options_;
  gguf::Reader source_;
  Plan plan_;
  gguf::Writer file_;
};

}  // namespace coterie::quantize
