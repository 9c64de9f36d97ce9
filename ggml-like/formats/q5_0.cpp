// Q5_0: the encoder.
#include "formats/q5_0.h"

#include "formats/encode_32.h"

#include <cmath>

namespace coterie {

// The bits of ggml's encoder: the value of largest magnitude (the first of several) is mapped to -16.
void Q5_0::encode(const float* w, const float* /*importance*/, Block& b) {
  float extreme = 0.0F;
  for (int i = 0; i < 32; ++i)
    if (std::fabs(w[i]) > std::fabs(extreme)) extreme = w[i];
  const float d = extreme / -16.0F;
  const float id = inverse_or_zero(d);
  b = {};
  b.scale = scale_for(w, d);
  for (int i = 0; i < 32; ++i)
    set_five_bit_code(b.nibbles, b.fifth, i, truncate_to(w[i] * id + 16.5F, 0, 31));
}

}  // namespace coterie
