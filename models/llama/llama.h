// Llama 3 and what is built like it (R1-Distill-Llama).
#pragma once

#include "models/dense.h"

namespace coterie::llama {

// GGUF stores the rows of q and k so that neighbouring pairs are rotated (see rope.h).
struct Llama : DenseDecoder {
  explicit Llama(const gguf::Reader& file)
      : DenseDecoder(
            file, {.name = "llama", .pairs = RopePairs::neighbours, .biased = false, .head_norms = false}) {}
};

}  // namespace coterie::llama
