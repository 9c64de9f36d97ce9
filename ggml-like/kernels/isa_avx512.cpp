// The one file built with the flags of avx512; its only export is this table.
#include "kernels/make_kernels.h"

namespace coterie {

constinit const Kernels kernels_avx512 = make_kernels<Avx512>(runs_avx512, Formats{});

}  // namespace coterie
