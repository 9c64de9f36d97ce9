// Q5_K: the encoder.
#include "formats/q5_k.h"

#include "formats/fit.h"

namespace coterie {

void Q5_K::encode(const float* w, const float* /*importance*/, Block& b) {
  Integers u;
  fit_super_block({.group = 32, .code_high = 31, .scale_high = 63, .has_mins = true}, w, u);
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
