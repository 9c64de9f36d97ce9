// Q4_1: packing.
#include "formats/q4_1.h"

namespace coterie {

void Q4_1::pack(const Integers& u, Block& b) {
  b.scale.bits = float_to_half(u.d);
  b.min.bits = float_to_half(u.m);
  for (int j = 0; j < 16; ++j) b.nibbles[j] = static_cast<std::uint8_t>(u.q[j] | u.q[j + 16] << 4);
}

}  // namespace coterie
