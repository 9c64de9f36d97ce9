// F32: a float as it is.
//
//   bytes 0..3   the value
#pragma once

#include "formats/integers.h"

namespace coterie {

struct F32 {
  static constexpr const char* name = "F32";
  static constexpr int gguf_id = 0;
  static constexpr int block_size = 1;
  using Activation = ActF32;

  struct Block {
    float value;
  };
  static_assert(sizeof(Block) == 4);

  COTERIE_INLINE static void decode(const Block& b, float* w) { *w = b.value; }
  COTERIE_INLINE static float accumulate(const Block& b, const Activation* x, float acc) {
    return __builtin_fmaf(b.value, x->value, acc);
  }
  COTERIE_INLINE static bool legal(const Block& b) { return is_finite(b.value); }
};

}  // namespace coterie
