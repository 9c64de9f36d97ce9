// Effects on disk, since measuring them takes long and they hold for every budget and for every file of a model: lines
// "tensor = effect", to be read and edited.
#pragma once

#include "quantize/fit.h"

#include <span>
#include <string>
#include <vector>

namespace coterie::quantize {

// Lines for all tensors that are not fixed.
std::string text_of(std::span<const FitTensor> tensors, std::span<const double> effects);

// One per tensor. Those that the text does not name get their default, in the scale of the others. Throws UsageError
// "subject: line N: ...", or where it names none of the tensors.
std::vector<double> parse_effects(std::string_view text, std::span<const FitTensor> tensors,
                                  const std::string& subject);

}  // namespace coterie::quantize
