// Q4_K: packing.
#include "formats/q4_k.h"

namespace coterie {

void Q4_K::pack(const Integers& u, Block& b) {
  b.scale.bits = float_to_half(u.d);
  b.min.bits = float_to_half(u.dmin);
  pack_k_scales(u, b.scales);
  for (int c = 0; c < 4; ++c)
    for (int j = 0; j < 32; ++j)
      b.nibbles[32 * c + j] = static_cast<std::uint8_t>(u.q[64 * c + j] | u.q[64 * c + 32 + j] << 4);
}

}  // namespace coterie
