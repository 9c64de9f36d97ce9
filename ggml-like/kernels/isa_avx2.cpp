// The one file built with the flags of avx2; its only export is this table.
#include "kernels/make_kernels.h"
#include "kernels/x86/burst_avx2.h"
#include "kernels/x86/iq_quants.h"
#include "kernels/x86/k_quants.h"
#include "kernels/x86/mix.h"
#include "kernels/x86/panel_avx2.h"
#include "kernels/x86/quantize.h"
#include "kernels/x86/small_blocks.h"
#include "kernels/x86/stream.h"
#include "kernels/x86/superblocks.h"
#include "kernels/x86/ternary.h"
#include "kernels/x86/wide_avx2.h"

namespace coterie {

constinit const Kernels kernels_avx2 = make_kernels<Avx2>(runs_avx2, encoders_avx2, Formats{});

}  // namespace coterie
