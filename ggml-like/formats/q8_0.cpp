// Q8_0: packing.
#include "formats/q8_0.h"

namespace coterie {

void Q8_0::pack(const Integers& u, Block& b) {
  b.scale.bits = float_to_half(u.d);
  for (int i = 0; i < 32; ++i) b.q[i] = u.q[i];
}

}  // namespace coterie
