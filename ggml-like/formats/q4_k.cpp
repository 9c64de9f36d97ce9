// Q4_K: the encoder.
#include "formats/q4_k.h"

#include "formats/fit.h"

namespace coterie {

void Q4_K::encode(const float* w, const float* /*importance*/, Block& b) {
  Integers u;
  fit_super_block({.group = 32, .code_high = 15, .scale_high = 63, .has_mins = true}, w, u);
  b.scale.bits = float_to_half(u.d);
  b.min.bits = float_to_half(u.dmin);
  pack_k_scales(u, b.scales);
  for (int c = 0; c < 4; ++c)
    for (int j = 0; j < 32; ++j)
      b.nibbles[32 * c + j] = static_cast<std::uint8_t>(u.q[64 * c + j] | u.q[64 * c + 32 + j] << 4);
}

}  // namespace coterie
