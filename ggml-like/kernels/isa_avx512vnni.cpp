// The one file built with the flags of avx512vnni; its only export is this table.
#include "kernels/make_kernels.h"

namespace coterie {

constinit const Kernels kernels_avx512vnni = make_kernels<Avx512Vnni>(runs_avx512vnni, Formats{});

}  // namespace coterie
