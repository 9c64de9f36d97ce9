// IQ4_XS: packing.
#include "formats/iq4_xs.h"

namespace coterie {

void IQ4_XS::pack(const Integers& u, Block& b) {
  b = {};
  b.scale.bits = float_to_half(u.d);
  for (int g = 0; g < 8; ++g) {
    const int scale = u.scales[2 * g] + 32;
    b.scales_low[g / 2] |= static_cast<std::uint8_t>((scale & 15) << (g % 2 * 4));
    b.scales_high[g / 4] |= static_cast<std::uint8_t>((scale >> 4) << (g % 4 * 2));
    pack_iq4_codes(u.q + 32 * g, b.nibbles + 16 * g);
  }
}

}  // namespace coterie
