// BF16: the encoder.
#include "formats/bf16.h"

namespace coterie {

void BF16::encode(const float* w, const float* /*importance*/, Block& b) { b.value.bits = float_to_bf16(*w); }

}  // namespace coterie
