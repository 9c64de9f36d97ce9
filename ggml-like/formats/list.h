// The list of weight formats. Every table (FormatInfo, the kernels of each ISA, typed tests) is generated
// from it, in this order. To add a format: its header here, its .cpp in CMakeLists.txt, its name in Formats.
#pragma once

#include "formats/bf16.h"
#include "formats/f16.h"
#include "formats/f32.h"
#include "formats/iq1_m.h"
#include "formats/iq1_s.h"
#include "formats/iq2_s.h"
#include "formats/iq2_xs.h"
#include "formats/iq2_xxs.h"
#include "formats/iq3_s.h"
#include "formats/iq3_xxs.h"
#include "formats/iq4_nl.h"
#include "formats/iq4_xs.h"
#include "formats/mxfp4.h"
#include "formats/nvfp4.h"
#include "formats/q2_k.h"
#include "formats/q3_k.h"
#include "formats/q4_0.h"
#include "formats/q4_1.h"
#include "formats/q4_k.h"
#include "formats/q5_0.h"
#include "formats/q5_1.h"
#include "formats/q5_k.h"
#include "formats/q6_k.h"
#include "formats/q8_0.h"
#include "formats/tq1_0.h"
#include "formats/tq2_0.h"

#include <tuple>
#include <type_traits>

namespace coterie {

template <class... F>
struct FormatList {
  static constexpr int size = sizeof...(F);
  using Tuple = std::tuple<F...>;  // for typed tests

  // visit(std::type_identity<F>{}, index) for every format, in order.
  template <class Visit>
  COTERIE_INLINE static constexpr void for_each(Visit&& visit) {
    int index = 0;
    (visit(std::type_identity<F>{}, index++), ...);
  }
};

using Formats =
    FormatList<F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ1_S, IQ1_M,
               IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS, IQ3_S, IQ4_NL, IQ4_XS, TQ1_0, TQ2_0, MXFP4, NVFP4>;

// The position of F in Formats: FormatInfo::index, and the index into the kernel tables.
template <class F, class... Fs>
consteval int position_in(FormatList<Fs...>) {
  int position = 0;
  bool found = false;
  ((found = found || std::is_same_v<F, Fs>, position += found ? 0 : 1), ...);
  return position;
}
template <class F>
constexpr int index_of = position_in<F>(Formats{});

}  // namespace coterie
