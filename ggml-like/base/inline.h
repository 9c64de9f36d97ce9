// COTERIE_INLINE: what must never become a shared weak symbol.
//
// ISA objects are compiled with different flags from the same headers. A plain inline function could be emitted
// in one of them and picked by the linker for all; always_inline leaves nothing to pick.
#pragma once

#ifdef __CUDACC__
#define COTERIE_INLINE __host__ __device__ __forceinline__
#else
#define COTERIE_INLINE inline __attribute__((always_inline))
#endif
