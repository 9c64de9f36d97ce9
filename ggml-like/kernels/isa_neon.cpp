// The one file built with the flags of neon; its only export is this table.
#include "kernels/arm/rows.h"
#include "kernels/make_kernels.h"

namespace coterie {

constinit const Kernels kernels_neon = make_kernels<Neon>(runs_neon, encoders_generic, Formats{});

}  // namespace coterie
