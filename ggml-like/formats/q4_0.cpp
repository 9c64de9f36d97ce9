// Q4_0: packing.
#include "formats/q4_0.h"

namespace coterie {

void Q4_0::pack(const Integers& u, Block& b) {
  b.scale.bits = float_to_half(u.d);
  for (int j = 0; j < 16; ++j)
    b.nibbles[j] = static_cast<std::uint8_t>((u.q[j] + 8) | (u.q[j + 16] + 8) << 4);
}

}  // namespace coterie
