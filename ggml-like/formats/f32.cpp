// F32: the encoder.
#include "formats/f32.h"

namespace coterie {

void F32::encode(const float* w, const float* /*importance*/, Block& b) { b.value = *w; }

}  // namespace coterie
