// Q4_1: the encoder.
#include "formats/q4_1.h"

#include "formats/encode_32.h"

#include <algorithm>

namespace coterie {

// The bits of ggml's encoder: the range is cut into 15 steps.
void Q4_1::encode(const float* w, const float* /*importance*/, Block& b) {
  const auto [low_at, high_at] = std::minmax_element(w, w + 32);
  const float low = *low_at;
  const float d = (*high_at - low) / 15.0F;
  const float id = inverse_or_zero(d);
  b.scale = scale_for(w, d);
  b.min.bits = float_to_half(low);
  for (int j = 0; j < 16; ++j) {
    const int first = truncate_to((w[j] - low) * id + 0.5F, 0, 15);
    const int second = truncate_to((w[j + 16] - low) * id + 0.5F, 0, 15);
    b.nibbles[j] = static_cast<std::uint8_t>(first | second << 4);
  }
}

}  // namespace coterie
