// Ternary codes for 256 weights under one scale: what the encoders of TQ1_0 and TQ2_0 share.
#pragma once

#include "formats/integers.h"

namespace coterie {

// codes[i] in {0, 1, 2} for weights d * (codes[i] - 1); returns d as half precision holds it, no number for
// weights that are none or beyond reach. The weighted squared error is the least that any d and codes leave,
// but for the rounding of d. importance: [256] or nullptr.
Half fit_ternary(const float* w, const float* importance, std::uint8_t* codes);

}  // namespace coterie
