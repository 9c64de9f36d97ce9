// Q4_0: the encoder.
#include "formats/q4_0.h"

#include "formats/encode_32.h"

#include <cmath>

namespace coterie {

// The bits of ggml's encoder: the value of largest magnitude (the first of several) is mapped to -8.
void Q4_0::encode(const float* w, const float* /*importance*/, Block& b) {
  float extreme = 0.0F;
  for (int i = 0; i < 32; ++i)
    if (std::fabs(w[i]) > std::fabs(extreme)) extreme = w[i];
  const float d = extreme / -8.0F;
  const float id = inverse_or_zero(d);
  b.scale = scale_for(w, d);
  for (int j = 0; j < 16; ++j) {
    const int low = truncate_to(w[j] * id + 8.5F, 0, 15);
    const int high = truncate_to(w[j + 16] * id + 8.5F, 0, 15);
    b.nibbles[j] = static_cast<std::uint8_t>(low | high << 4);
  }
}

}  // namespace coterie
