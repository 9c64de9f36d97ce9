// The one file built with the flags of neon_i8mm; its only export is this table.
#include "kernels/arm/mix.h"
#include "kernels/arm/neon_i8mm.h"
#include "kernels/arm/rows.h"
#include "kernels/make_kernels.h"

namespace coterie {

constinit const Kernels kernels_neon_i8mm =
    make_kernels<NeonI8mm>(runs_neon_i8mm, encoders_generic, Formats{});

}  // namespace coterie
