// What isa_avx512amx.cpp is, over the model; everything but the rows is that of avx512vbmi, with whose flags it is built.
#include "tests/kernels/amx_table.h"

#include "formats/list.h"
#include "kernels/x86/iq_quants.h"
#include "kernels/x86/k_quants.h"
#include "kernels/x86/panel_amx.h"
#include "kernels/x86/small_blocks.h"
#include "kernels/x86/superblocks.h"
#include "kernels/x86/ternary.h"
#include "tests/kernels/amx_model.h"

namespace coterie {

struct Avx512AmxModel : Avx512Vbmi {};
template <>
struct TilesOf<Avx512AmxModel> {
  using Type = test::AmxModel;
};

namespace test {

AmxTrace& amx_trace() {
  thread_local AmxTrace trace;
  return trace;
}

const Kernels* amx_model_kernels() {
  if (!runs_avx512vbmi()) return nullptr;
  static const Kernels table = [] {
    Kernels k = kernels_avx512vbmi;
    k.isa = "avx512amx-model";
    Formats::for_each([&]<class F>(std::type_identity<F>, int index) {
      if constexpr (PaneledFormat<F, Avx512AmxModel>) k.rows[index] = Rows<F, Avx512AmxModel>::run;
    });
    return k;
  }();
  return &table;
}

}  // namespace test

}  // namespace coterie
