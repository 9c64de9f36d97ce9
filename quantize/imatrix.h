// Importance matrices: how much each column of a weight matrix matters, as the mean square of the activations
// that met it while a model read a calibration text.
//
// Two containers, both as llama.cpp has them (tools/imatrix, common/imatrix-loader):
//
//   GGUF   general.type "imatrix", imatrix.datasets [text], imatrix.chunk_count, imatrix.chunk_size (UINT32);
//          per weight F32 tensors NAME.in_sum2 [columns, matrices], sums of squares, and NAME.counts [1, matrices],
//          tokens. A stack of experts has a row and a count each. A stack by head (attn_k_b, attn_v_b) is one row of
//          heads * columns with one count.
//   .dat   the older one, to read only: i32 entries; per entry i32 length, name, i32 calls, i32 values, F32 values
//          (means times calls); then, perhaps, i32 chunks, i32 length, dataset.
//
// Own keys, which other programs ignore, say what routing alone did not give: coterie.imatrix.forced.tensors [text],
// .experts and .tokens [UINT32], one place per expert of a stack whose sums include so many tokens that its router
// had not sent there.
#pragma once

#include "base/mapping.h"
#include "gguf/reader.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace coterie::quantize {

// Expert `expert` of the stack `tensor` got `tokens` tokens that its router had sent elsewhere.
struct ForcedExpert {
  std::string tensor;
  std::int64_t expert, tokens;
};

// A file that was read: mapped, and checked in full by the constructor.
class ImportanceMatrix {
 public:
  explicit ImportanceMatrix(const std::string& path);  // throws FileError

  const std::string& path() const { return path_; }
  // One importance per column of matrix number `matrix` of a stack (0: a plain matrix) whose rows have n
  // weights; empty where the file has nothing about the tensor. An expert without a single token gets the mean over
  // the others. Throws ModelError where the file's entry is of another shape.
  std::vector<float> weights(std::string_view tensor, std::int64_t n, std::int64_t matrix = 0) const;
  bool has(std::string_view tensor) const { return entries_.contains(tensor); }
  // Tokens that the importance of that matrix was taken from; 0 where the file does not say (.dat) or has none.
  std::int64_t tokens(std::string_view tensor, std::int64_t matrix = 0) const;
  std::vector<std::string> names() const;  // sorted

  const std::vector<std::string>& datasets() const { return datasets_; }
  std::int64_t chunk_count() const { return chunk_count_; }
  std::int64_t chunk_size() const { return chunk_size_; }  // tokens; 0: unknown (.dat)
  const std::vector<ForcedExpert>& forced() const { return forced_; }

 private:
  struct Entry {
    std::span<const std::byte> sums;  // floats, at any address
    std::vector<float> counts;        // what sums are divided by: one, or one per expert
    bool tokens = false;              // counts are tokens
    std::int64_t n_sums() const { return static_cast<std::int64_t>(sums.size() / sizeof(float)); }
  };
  void read_gguf();
  void read_dat();
  void read_forced();
  void check() const;

  std::string path_;
  std::unique_ptr<gguf::Reader> gguf_;  // one of the two
  std::unique_ptr<MappedFile> dat_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::vector<std::string> datasets_;
  std::int64_t chunk_count_ = 0, chunk_size_ = 0;
  std::vector<ForcedExpert> forced_;
};

// What is to be written.
struct ImportanceHeader {
  std::vector<std::string> datasets;
  std::int64_t chunk_count, chunk_size;
  std::vector<ForcedExpert> forced;
};
struct ImportanceSums {
  std::string tensor;
  std::span<const double> sums;          // [counts][columns]
  std::span<const std::int64_t> counts;  // tokens
};
// Writes the GGUF form, atomically. Throws Error, DiskFullError.
void write_importance(const std::string& path, const ImportanceHeader& header,
                      std::span<const ImportanceSums> sums);

}  // namespace coterie::quantize
