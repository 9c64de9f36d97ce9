// Q5_0: packing.
#include "formats/q5_0.h"

namespace coterie {

void Q5_0::pack(const Integers& u, Block& b) {
  b = {};
  b.scale.bits = float_to_half(u.d);
  for (int i = 0; i < 32; ++i) set_five_bit_code(b.nibbles, b.fifth, i, u.q[i] + 16);
}

}  // namespace coterie
