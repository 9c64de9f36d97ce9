// Qwen2 and Qwen2.5 (R1-Distill-Qwen): q, k and v have a bias.
#pragma once

#include "models/dense.h"

namespace coterie::qwen2 {

struct Qwen2 : DenseDecoder {
  explicit Qwen2(const gguf::Reader& file)
      : DenseDecoder(file,
                     {.name = "qwen2", .pairs = RopePairs::halves, .biased = true, .head_norms = false}) {}
};

}  // namespace coterie::qwen2
