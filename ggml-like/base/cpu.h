// What this CPU can execute, asked once.
#pragma once

namespace coterie {

struct CpuFeatures {
  bool avx2 = false;        // AVX2, FMA and F16C
  bool avx512 = false;      // AVX-512 F, BW, DQ, VL
  bool avx512vnni = false;  // the above and VNNI
  bool avx512vbmi = false;  // the above, VBMI and GFNI: Ice Lake, Zen 4 and later
  bool avx512amx = false;   // the above and the byte products of AMX, which the kernel has granted
  bool neon_dot = false;    // dot products of bytes
  bool neon_i8mm = false;   // the above and products of matrices of bytes
};

const CpuFeatures& cpu_features();
int physical_cores();  // at least 1, within this process's affinity and cgroup quota

}  // namespace coterie
