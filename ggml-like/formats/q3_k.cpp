// Q3_K: packing.
#include "formats/q3_k.h"

namespace coterie {

void Q3_K::pack(const Integers& u, Block& b) {
  b = {};
  b.scale.bits = float_to_half(u.d);
  for (int g = 0; g < 16; ++g) {
    const int scale = u.scales[g] + 32;
    b.scales_low[g % 8] |= static_cast<std::uint8_t>((scale & 15) << (g / 8 * 4));
    b.scales_high[g % 4] |= static_cast<std::uint8_t>((scale >> 4) << (g / 4 * 2));
  }
  for (int i = 0; i < 256; ++i) {
    const int code = u.q[i] + 4;
    b.low[i / 128 * 32 + i % 32] |= static_cast<std::uint8_t>((code & 3) << (i % 128 / 32 * 2));
    b.third[i % 32] |= static_cast<std::uint8_t>((code >> 2) << (i / 32));
  }
}

}  // namespace coterie
