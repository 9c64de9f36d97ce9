// Q8_0: the encoder.
#include "formats/q8_0.h"

#include "formats/encode_32.h"

#include <cmath>

namespace coterie {

// The bits of ggml's encoder: halves are rounded away from zero, and the codes belong to the scale before it
// is rounded to half precision.
void Q8_0::encode(const float* w, const float* /*importance*/, Block& b) {
  float top = 0.0F;
  for (int i = 0; i < 32; ++i) top = std::fabs(w[i]) > top ? std::fabs(w[i]) : top;
  const float d = top / 127.0F;
  const float id = inverse_or_zero(d);
  b.scale = scale_for(w, d);
  for (int i = 0; i < 32; ++i)
    b.q[i] = static_cast<std::int8_t>(truncate_to(std::round(w[i] * id), -127, 127));
}

}  // namespace coterie
