// TQ2_0: the encoder.
#include "formats/tq2_0.h"

#include "formats/ternary_fit.h"

namespace coterie {

void TQ2_0::encode(const float* w, const float* importance, Block& b) {
  std::uint8_t codes[256];
  b = {};
  b.scale = fit_ternary(w, importance, codes);
  for (int h = 0; h < 2; ++h)
    for (int k = 0; k < 4; ++k)
      for (int j = 0; j < 32; ++j)
        b.codes[32 * h + j] |= static_cast<std::uint8_t>(codes[128 * h + 32 * k + j] << (2 * k));
}

}  // namespace coterie
