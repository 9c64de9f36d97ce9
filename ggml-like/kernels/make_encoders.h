// Kernels::encode of one ISA, filled from the templates.
#pragma once

#include "formats/encoders.h"
#include "kernels/isa.h"

namespace coterie {

template <class Isa, class F>
consteval Encode encoder_of() {
  if constexpr (Encodable<F>)
    return encode_row<F, Isa>;
  else
    return nullptr;
}

template <class Isa, class... F>
consteval Encoders make_encoders(FormatList<F...>) {
  static_assert(sizeof...(F) <= max_formats);
  return {{encoder_of<Isa, F>()...}};
}

}  // namespace coterie
