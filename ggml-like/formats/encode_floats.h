// F32, F16 and BF16: rounded to nearest, halves to even; a NaN becomes the quiet one of its sign (base/half.h).
#pragma once

#include "formats/bf16.h"
#include "formats/encoder.h"
#include "formats/f16.h"
#include "formats/f32.h"

namespace coterie {

template <class Isa>
struct Encoder<F32, Isa> {
  COTERIE_INLINE static void block(const float* w, const float*, F32::Block& b) { b.value = *w; }
};

template <class Isa>
struct Encoder<F16, Isa> {
  COTERIE_INLINE static void block(const float* w, const float*, F16::Block& b) {
    b.value.bits = float_to_half(*w);
  }
};

template <class Isa>
struct Encoder<BF16, Isa> {
  COTERIE_INLINE static void block(const float* w, const float*, BF16::Block& b) {
    b.value.bits = float_to_bf16(*w);
  }
};

}  // namespace coterie
