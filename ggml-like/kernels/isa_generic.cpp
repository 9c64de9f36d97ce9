// The table that runs everywhere: the baseline flags (x86-64-v2, armv8-a), no specialisation.
#include "kernels/make_kernels.h"

namespace coterie {

constinit const Kernels kernels_generic = make_kernels<Generic>(runs_generic, encoders_generic, Formats{});

}  // namespace coterie
