// The one file built with the flags of avx512amx; its only export is this table. Few tokens are left to avx512vbmi.
#include "kernels/make_kernels.h"
#include "kernels/x86/burst_avx512amx.h"
#include "kernels/x86/iq_quants.h"
#include "kernels/x86/k_quants.h"
#include "kernels/x86/mix_avx512vnni.h"
#include "kernels/x86/panel_amx.h"
#include "kernels/x86/quantize.h"
#include "kernels/x86/small_blocks.h"
#include "kernels/x86/superblocks.h"
#include "kernels/x86/ternary.h"

namespace coterie {

template <>
struct TilesOf<Avx512Amx> {
  using Type = AmxTiles;
};

constinit const Kernels kernels_avx512amx =
    make_kernels<Avx512Amx>(runs_avx512amx, encoders_avx512, Formats{});

}  // namespace coterie
