// Q5_K: packing.
#include "formats/q5_k.h"

namespace coterie {

void Q5_K::pack(const Integers& u, Block& b) {
  b = {};
  b.scale.bits = float_to_half(u.d);
  b.min.bits = float_to_half(u.dmin);
  pack_k_scales(u, b.scales);
  for (int i = 0; i < 256; ++i) {
    b.nibbles[i / 64 * 32 + i % 32] |= static_cast<std::uint8_t>((u.q[i] & 15) << (i % 64 / 32 * 4));
    b.fifth[i % 32] |= static_cast<std::uint8_t>((u.q[i] >> 4) << (i / 32));
  }
}

}  // namespace coterie
