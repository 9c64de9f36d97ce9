// The one file built with the flags of avx512; its only export is this table.
#include "kernels/make_kernels.h"
#include "kernels/x86/burst_avx512.h"
#include "kernels/x86/iq_quants.h"
#include "kernels/x86/k_quants.h"
#include "kernels/x86/mix_avx512.h"
#include "kernels/x86/quantize.h"
#include "kernels/x86/small_blocks.h"
#include "kernels/x86/stream.h"
#include "kernels/x86/superblocks.h"
#include "kernels/x86/ternary.h"
#include "kernels/x86/wide_avx512.h"

namespace coterie {

constinit const Kernels kernels_avx512 = make_kernels<Avx512>(runs_avx512, encoders_avx512, Formats{});

}  // namespace coterie
