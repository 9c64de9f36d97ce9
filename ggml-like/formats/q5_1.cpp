// Q5_1: the encoder.
#include "formats/q5_1.h"

#include "formats/encode_32.h"

#include <algorithm>

namespace coterie {

// The bits of ggml's encoder: the range is cut into 31 steps.
void Q5_1::encode(const float* w, const float* /*importance*/, Block& b) {
  const auto [low_at, high_at] = std::minmax_element(w, w + 32);
  const float low = *low_at;
  const float d = (*high_at - low) / 31.0F;
  const float id = inverse_or_zero(d);
  b = {};
  b.scale = scale_for(w, d);
  b.min.bits = float_to_half(low);
  for (int i = 0; i < 32; ++i)
    set_five_bit_code(b.nibbles, b.fifth, i, truncate_to((w[i] - low) * id + 0.5F, 0, 31));
}

}  // namespace coterie
