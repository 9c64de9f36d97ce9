// Every Encoder that is a template over the instruction set.
#pragma once

#include "formats/codebook_fit.h"
#include "formats/e2m1_fit.h"
#include "formats/encode_32.h"
#include "formats/encode_floats.h"
#include "formats/encoder.h"
#include "formats/fit.h"
#include "formats/list.h"

#include <concepts>

namespace coterie {

// A shape of integers to find, and a function that packs them: super-blocks, and 32-blocks, which are searched for
// where weights differ in importance, IQ4_NL always. (Q8_0 gains nothing by that.)
template <class F>
concept Shaped = requires(const typename F::Integers& u, typename F::Block& b) {
  { F::shape } -> std::convertible_to<IntegerShape>;
  F::pack(u, b);
};

template <Shaped F, class Isa>
struct Encoder<F, Isa> {
  COTERIE_INLINE static void block(const float* w, const float* importance, typename F::Block& b) {
    typename F::Integers u;
    find(w, importance, u);
    F::pack(u, b);
  }

 private:
  static constexpr IntegerShape shape = F::shape;

  COTERIE_INLINE static void find(const float* w, const float* importance, Integers256& u) {
    fit_super_block<Isa, shape.has_mins, shape.iq4>(shape, w, importance, u);
  }

  COTERIE_INLINE static void find(const float* w, const float* importance, Integers32& u) {
    if constexpr (std::same_as<F, Q8_0>)
      PlainBlock<Isa>::round_to_bytes(w, u);
    else if (importance != nullptr || shape.iq4)
      fit_block<Isa, shape.has_mins, shape.iq4>(shape, w, importance, u);
    else if (shape.has_mins)
      PlainBlock<Isa>::cut_range(shape, w, u);
    else
      PlainBlock<Isa>::map_extreme(shape, w, u);
  }
};

// Points of a codebook to find, and a function that packs them.
template <class F>
concept Gridded = requires(const CodebookFit& fit, typename F::Block& b) {
  F::pack(fit, b);
};

template <Gridded F, class Isa>
struct Encoder<F, Isa> {
  COTERIE_INLINE static void block(const float* w, const float* importance, typename F::Block& b) {
    CodebookFit fit;
    fit_codebook<Isa>(F::shape, w, importance, fit);
    F::pack(fit, b);
  }
};

}  // namespace coterie
