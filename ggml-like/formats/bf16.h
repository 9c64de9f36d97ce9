// BF16: the upper half of a float.
//
//   bytes 0..1   the value
#pragma once

#include "formats/integers.h"

namespace coterie {

struct BF16 {
  static constexpr const char* name = "BF16";
  static constexpr int gguf_id = 30;
  static constexpr int block_size = 1;
  using Activation = ActF32;

  struct Block {
    BFloat16 value;
  };
  static_assert(sizeof(Block) == 2);

  COTERIE_INLINE static void decode(const Block& b, float* w) { *w = b.value; }
  COTERIE_INLINE static float accumulate(const Block& b, const Activation* x, float acc) {
    return __builtin_fmaf(b.value, x->value, acc);
  }
  COTERIE_INLINE static bool legal(const Block& b) { return is_finite(b.value); }
};

}  // namespace coterie
