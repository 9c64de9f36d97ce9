// The one file built with the flags of avx2; its only export is this table.
#include "kernels/make_kernels.h"

namespace coterie {

constinit const Kernels kernels_avx2 = make_kernels<Avx2>(runs_avx2, Formats{});

}  // namespace coterie
