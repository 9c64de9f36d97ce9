// The rows of a tensor, made and encoded by all threads and written as they are done.
//
// Threads claim strips of rows one after another and write their own, so that nobody waits for anybody before
// the tensor's end, and memory holds a strip per thread whatever the model. A row is encoded by itself: the
// bytes depend neither on the number of threads nor on how rows are cut.
#pragma once

#include "formats/formats.h"
#include "gguf/writer.h"
#include "quantize/imatrix.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace coterie::quantize {

// Raised whenever an encoder, or what makes its rows, gives other bytes than before: a journal goes on under the same
// number only, so that no file is half of one kind and half of the other, and a fix elsewhere costs nobody the work of
// hours. tests/quantize/test_encoded.cpp fails where bytes change and this does not.
constexpr int encoder_version = 2;

// One tensor of the output, and where its rows come from. The functions are called by any thread.
struct RowSource {
  std::string name;  // for errors, and to find its importance
  const FormatInfo* format = nullptr;
  std::int64_t columns = 0, rows = 0;
  std::int64_t rows_per_matrix = 0;  // of a stack of experts: each has an importance of its own
  std::function<void(std::int64_t row, float* out)> make;  // [columns]
  std::function<const std::byte*(std::int64_t row)>
      copy;  // in place of make: rows that have the format already
};

struct Encoder {
  int threads = 0;                               // 0: one per CPU
  const ImportanceMatrix* importance = nullptr;  // nullptr: all weights count alike
  std::function<void()> check_source;  // called by any thread before bytes are written; throws where they are
                                       // worthless
  std::function<void()>
      release_source;  // called by this thread now and then: pages of the source that have been read
  std::function<void(std::uint64_t bytes)>
      wrote;  // called by this thread with what all have written since; may throw

  // Writes what the file has not yet. Throws ModelError where a block format would get a weight that is no finite
  // number, and what the functions and the Writer throw.
  void write(gguf::Writer& file, int tensor, const RowSource& source) const;
};

}  // namespace coterie::quantize
