// The one file built with the flags of neon_dot; its only export is this table.
#include "kernels/arm/mix.h"
#include "kernels/arm/neon_dot.h"
#include "kernels/arm/rows.h"
#include "kernels/make_kernels.h"

namespace coterie {

constinit const Kernels kernels_neon_dot = make_kernels<NeonDot>(runs_neon_dot, encoders_generic, Formats{});

}  // namespace coterie
