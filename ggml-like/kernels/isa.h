// The tables that the isa_<name>.cpp files export, and the questions whether this CPU can run them. The
// answers live in isa_list.cpp: nothing in an ISA's object may run before its question was answered.
#pragma once

#include "kernels/kernels.h"

namespace coterie {

bool runs_generic();
bool runs_avx2();
bool runs_avx512();
bool runs_avx512vnni();
bool runs_avx512vbmi();
bool runs_avx512amx();
bool runs_neon();
bool runs_neon_dot();
bool runs_neon_i8mm();

// Kernels::encode, from isa_<name>_encode.cpp.
struct Encoders {
  Encode by_format[max_formats];
};
extern const Encoders encoders_generic;
extern const Encoders encoders_avx2;
extern const Encoders encoders_avx512;

extern const Kernels kernels_generic;
extern const Kernels kernels_avx2;
extern const Kernels kernels_avx512;
extern const Kernels kernels_avx512vnni;
extern const Kernels kernels_avx512vbmi;
extern const Kernels kernels_avx512amx;
extern const Kernels kernels_neon;
extern const Kernels kernels_neon_dot;
extern const Kernels kernels_neon_i8mm;

}  // namespace coterie
