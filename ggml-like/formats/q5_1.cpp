// Q5_1: packing.
#include "formats/q5_1.h"

namespace coterie {

void Q5_1::pack(const Integers& u, Block& b) {
  b = {};
  b.scale.bits = float_to_half(u.d);
  b.min.bits = float_to_half(u.m);
  for (int i = 0; i < 32; ++i) set_five_bit_code(b.nibbles, b.fifth, i, u.q[i]);
}

}  // namespace coterie
