// The tables this build contains, and whether this CPU can run them: the one file that knows which processor
// it is for.
#include "base/cpu.h"
#include "kernels/isa.h"

namespace coterie {

bool runs_generic() { return true; }
bool runs_avx2() { return cpu_features().avx2; }
bool runs_avx512() { return cpu_features().avx512; }
bool runs_avx512vnni() { return cpu_features().avx512vnni; }
bool runs_avx512vbmi() { return cpu_features().avx512vbmi; }
bool runs_avx512amx() { return cpu_features().avx512amx; }
bool runs_neon() { return true; }
bool runs_neon_dot() { return cpu_features().neon_dot; }
bool runs_neon_i8mm() { return cpu_features().neon_i8mm; }

static const Kernels* const tables[] = {
#if defined(__x86_64__)
    &kernels_avx512amx, &kernels_avx512vbmi, &kernels_avx512vnni, &kernels_avx512, &kernels_avx2,
#elif defined(__aarch64__)
    &kernels_neon_i8mm,
    &kernels_neon_dot,
    &kernels_neon,
#endif
    &kernels_generic,
};

std::span<const Kernels* const> all_kernels() { return tables; }

}  // namespace coterie
