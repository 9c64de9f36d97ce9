// The table of one ISA, filled from the templates. An isa_<name>.cpp includes this after the specialisations
// it wants.
#pragma once

#include "formats/list.h"
#include "kernels/burst.h"
#include "kernels/float_rows.h"
#include "kernels/isa.h"
#include "kernels/mix.h"
#include "kernels/quantize.h"
#include "kernels/rows.h"
#include "kernels/vector_ops.h"

namespace coterie {

template <class Isa, class... F>
consteval Kernels make_kernels(bool (*runnable)(), const Encoders& encoders, FormatList<F...>) {
  static_assert(sizeof...(F) <= max_formats);
  using V = VectorOps<Isa>;
  return {
      .isa = Isa::name,
      .runnable = runnable,
      .rows = {Rows<F, Isa>::run...},
      .encode = encoders.by_format,
      .quantize_act256 = Quantize<Act256, Isa>::run,
      .quantize_act32 = Quantize<Act32, Isa>::run,
      .dot = V::dot,
      .sum = V::sum,
      .max = V::max,
      .rms_norm = V::rms_norm,
      .swiglu = V::swiglu,
      .add = V::add,
      .axpy = V::axpy,
      .scale = V::scale,
      .exp_minus = V::exp_minus,
      .sigmoid = V::sigmoid_all,
      .half_to_float = V::half_to_float,
      .q8_0_to_float = V::q8_0_to_float,
      .q4_0_to_q8_0 = V::q4_0_to_q8_0,
      .float_to_half = V::float_to_half,
      .softmax = V::softmax,
      .transpose = V::transpose,
      .mix = Mix<Isa>::run,
      .outer = V::outer,
      .burst_bytes = BurstBytes<Isa>::run,
      .burst_floats = burst_floats<Isa>,
  };
}

}  // namespace coterie
