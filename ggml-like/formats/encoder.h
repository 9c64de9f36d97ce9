// Encoders as templates over the instruction set: FormatInfo::encode is made with Generic, Kernels::encode with the
// others. Whatever the ISA, the bytes are the same: lanes that do not depend on the width of a register, one order of
// every sum, Isa::fma. A format whose encoder is worth no vectors has a function F::encode; the others specialise
// Encoder (encoders.h lists them).
#pragma once

#include "base/simd.h"

#include <cstddef>
#include <cstdint>

namespace coterie {

// block fills one block from F::block_size weights. importance: how much the squared error of each counts, or nullptr.
template <class F, class Isa>
struct Encoder;

template <class F, class Isa>
requires requires(const float* w, typename F::Block& b) { F::encode(w, w, b); }
struct Encoder<F, Isa> {
  COTERIE_INLINE static void block(const float* w, const float* importance, typename F::Block& b) {
    F::encode(w, importance, b);
  }
};

template <class F>
concept Encodable = requires {
  sizeof(Encoder<F, Generic>);
};

// n weights, whole blocks; blocks of any alignment.
template <class F, class Isa>
void encode_row(const float* w, const float* importance, std::int64_t n, std::byte* blocks) {
  for (std::int64_t i = 0; i < n; i += F::block_size, blocks += sizeof(typename F::Block)) {
    typename F::Block b;
    Encoder<F, Isa>::block(w + i, importance == nullptr ? nullptr : importance + i, b);
    __builtin_memcpy(blocks, &b, sizeof b);
  }
}

}  // namespace coterie
