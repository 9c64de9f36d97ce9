// Fetching a model's tensors with the shapes that its configuration demands. Every fault is a ModelError that
// names the tensor, its shape and the one expected; what was fetched needs no check afterwards.
#pragma once

#include "device/cpu/feed_forward.h"
#include "gguf/reader.h"
#include "tensor/matrix.h"

#include <cstdint>
#include <string>

namespace coterie {

class Tensors {
 public:
  explicit Tensors(const gguf::Reader& file) : file_(file) {}

  bool has(const std::string& name) const { return file_.find_tensor(name) != nullptr; }
  // Weights [n, rows] or a stack [n, rows, count] (also accepted with rows * count as one dimension: older
  // writers).
  Matrix matrix(const std::string& name, std::int64_t n, std::int64_t rows, std::int64_t count = 1) const;
  Matrix optional_matrix(const std::string& name, std::int64_t n, std::int64_t rows,
                         std::int64_t count = 1) const;
  // A vector of n floats, F32 in the file.
  const float* vector(const std::string& name, std::int64_t n) const;
  const float* optional_vector(const std::string& name, std::int64_t n) const;
  // ffn_gate, ffn_up and ffn_down of a layer; suffix "_exps" (count of them, stacked) or "_shexp" for those of
  // a mixture.
  FeedForward feed_forward(std::int64_t layer, const std::string& suffix, std::int64_t dim,
                           std::int64_t inner, std::int64_t count = 1) const;

 private:
  const gguf::TensorInfo& get(const std::string& name) const;
  const gguf::Reader& file_;
};

inline std::string block_name(std::int64_t layer, const char* root) {
  return "blk." + std::to_string(layer) + "." + root;
}

}  // namespace coterie
