// Q6_K: packing.
#include "formats/q6_k.h"

namespace coterie {

void Q6_K::pack(const Integers& u, Block& b) {
  b = {};
  b.scale.bits = float_to_half(u.d);
  for (int g = 0; g < 16; ++g) b.scales[g] = u.scales[g];
  for (int h = 0; h < 2; ++h)
    for (int k = 0; k < 4; ++k)
      for (int j = 0; j < 32; ++j) {
        const int code = u.q[128 * h + 32 * k + j] + 32;
        b.low[64 * h + 32 * (k % 2) + j] |= static_cast<std::uint8_t>((code & 15) << (k / 2 * 4));
        b.high[32 * h + j] |= static_cast<std::uint8_t>((code >> 4) << (2 * k));
      }
}

}  // namespace coterie
