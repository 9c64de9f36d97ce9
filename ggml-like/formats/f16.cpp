// F16: the encoder.
#include "formats/f16.h"

namespace coterie {

void F16::encode(const float* w, const float* /*importance*/, Block& b) { b.value.bits = float_to_half(*w); }

}  // namespace coterie
