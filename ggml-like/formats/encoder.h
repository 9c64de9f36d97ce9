// Encoders as templates over the instruction set. A format whose encoder is worth vectors specialises Encoder
// for every Isa (base/simd.h) in a header of its own; then F::encode is Encoder<F, Generic>, and kernels/ build the
// others. Whatever the ISA, the bytes are the same: fixed lanes, one order of every sum, Isa::fma.
#pragma once

#include "base/simd.h"

namespace coterie {

template <class F, class Isa>
struct Encoder {
  COTERIE_INLINE static void block(const float* w, const float* importance, typename F::Block& b) {
    F::encode(w, importance, b);
  }
};

template <class F>
concept Encodable = requires(const float* w, typename F::Block& b) {
  F::encode(w, w, b);
};

// n weights, whole blocks; blocks of any alignment. importance: n values or nullptr.
template <class F, class Isa>
void encode_row(const float* w, const float* importance, std::int64_t n, std::byte* blocks) {
  for (std::int64_t i = 0; i < n; i += F::block_size, blocks += sizeof(typename F::Block)) {
    typename F::Block b;
    Encoder<F, Isa>::block(w + i, importance == nullptr ? nullptr : importance + i, b);
    __builtin_memcpy(blocks, &b, sizeof b);
  }
}

}  // namespace coterie
