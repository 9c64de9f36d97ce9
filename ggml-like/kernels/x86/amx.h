// The tile registers of AMX, as few operations as the panels need. What they compute is what tests/kernels/amx_model.h
// says in plain C++; a kernel takes either as its `Tiles`, so that it is tested on machines without AMX too.
//
// A thread has eight tiles of at most 16 rows of 64 bytes. A product adds to c[i][j], a doubleword, the sum over k of
// a[i][k] * b[k / 4][4 j + k % 4]: a holds rows of signed bytes, b four rows of a matrix in each of its own.
//
// In assembly, since GCC's intrinsics paste their arguments into the name of the register: a constant of a template is
// no number to them.
#pragma once

#include "base/simd.h"

#include <cstdint>

namespace coterie {

struct Avx512Amx : Avx512Vbmi {
  static constexpr const char* name = "avx512amx";
};

// What ldtilecfg reads. Tiles of no rows cannot be used.
struct alignas(64) TileShapes {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t n_rows[16] = {};

  constexpr void set(int tile, int rows, int bytes) {
    n_rows[tile] = static_cast<std::uint8_t>(rows);
    row_bytes[tile] = static_cast<std::uint16_t>(bytes);
  }
};
static_assert(sizeof(TileShapes) == 64);

struct AmxTiles {
  COTERIE_INLINE static void configure(const TileShapes& shapes) {
    asm volatile("ldtilecfg %0" : : "m"(shapes));
  }
  // Back to the initial state, which costs a thread switch nothing.
  COTERIE_INLINE static void release() { asm volatile("tilerelease"); }

  template <int tile>
  COTERIE_INLINE static void zero() {
    asm volatile("tilezero %%tmm%c0" : : "i"(tile));
  }
  template <int tile>
  COTERIE_INLINE static void load(const void* rows, std::int64_t stride) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(rows), "r"(stride), "i"(tile) : "memory");
  }
  template <int tile>
  COTERIE_INLINE static void store(void* rows, std::int64_t stride) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(rows), "r"(stride), "i"(tile) : "memory");
  }
  template <int c, int a, int b>
  COTERIE_INLINE static void add_signed() {  // b: signed bytes
    asm volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(c), "i"(a), "i"(b));
  }
  template <int c, int a, int b>
  COTERIE_INLINE static void add_unsigned() {  // b: unsigned bytes
    asm volatile("tdpbsud %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(c), "i"(a), "i"(b));
  }
};

}  // namespace coterie
