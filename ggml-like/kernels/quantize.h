// Activations to bytes, n values to n / block_size blocks: formats/activation.h says how, for every ISA.
#pragma once

#include "formats/activation.h"
#include "kernels/kernels.h"

namespace coterie {

template <class Activation, class Isa>
struct Quantize {
  static void run(const float* x, std::int64_t n, std::byte* out) {
    auto* blocks = reinterpret_cast<Activation*>(out);
    for (std::int64_t b = 0; b < n / Activation::block_size; ++b)
      quantize_block(x + b * Activation::block_size, blocks[b]);
  }
};

}  // namespace coterie
