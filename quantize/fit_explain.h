// Why a fitted file is as it is: a table of its tensors, and a picture of bits by layer and part beside the loss that
// each part is predicted to cost.
#pragma once

#include "quantize/fit.h"

#include <string>

namespace coterie::quantize {

// One line per tensor: format, bytes, bits per weight, noise, effect, share of the loss; then the totals.
std::string table_of(const Fit& fit);

// An SVG document.
std::string picture_of(const Fit& fit);

}  // namespace coterie::quantize
