// The one file built with the flags of avx512vbmi; its only export is this table.
#include "kernels/make_kernels.h"
#include "kernels/x86/burst_avx512vnni.h"
#include "kernels/x86/codebooks_vbmi.h"
#include "kernels/x86/iq_quants.h"
#include "kernels/x86/k_quants.h"
#include "kernels/x86/mix_avx512vnni.h"
#include "kernels/x86/panel_formats.h"
#include "kernels/x86/quantize.h"
#include "kernels/x86/small_blocks.h"
#include "kernels/x86/stream.h"
#include "kernels/x86/superblocks.h"
#include "kernels/x86/ternary.h"

namespace coterie {

constinit const Kernels kernels_avx512vbmi =
    make_kernels<Avx512Vbmi>(runs_avx512vbmi, encoders_avx512, Formats{});

}  // namespace coterie
