// Q2_K: packing.
#include "formats/q2_k.h"

namespace coterie {

void Q2_K::pack(const Integers& u, Block& b) {
  b = {};
  b.scale.bits = float_to_half(u.d);
  b.min.bits = float_to_half(u.dmin);
  for (int g = 0; g < 16; ++g) b.groups[g] = static_cast<std::uint8_t>(u.scales[g] | u.mins[g] << 4);
  for (int i = 0; i < 256; ++i)
    b.codes[i / 128 * 32 + i % 32] |= static_cast<std::uint8_t>(u.q[i] << (i % 128 / 32 * 2));
}

}  // namespace coterie
