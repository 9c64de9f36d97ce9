// A byte budget for a GGUF file: its tensors as fit.h wants them, and their effects measured with the model itself.
#pragma once

#include "gguf/reader.h"
#include "models/model.h"
#include "quantize/fit.h"

#include <vector>

namespace coterie::quantize {

// In the order of the file, which must outlive them. Norms, routers and vectors are fixed.
std::vector<FitTensor> fit_tensors(const gguf::Reader& file);

// Gives one tensor after the other a coarser format, lets the model read the windows, and sees how far its predictions
// move. The model runs as often as there are tensors, and one tensor is in memory at a time.
//
// effect = divergence / noise, as if one grew with the other. For single tensors it grows more slowly, about as the
// root: what counts is how many near decisions, of routers and of answers, tip over. But effects that follow the root
// (divergence^2 / noise) chose worse types at every size that was tried. The file is as before afterwards. Throws
// ModelError where the file is no model that runs.
std::vector<double> measured_effects(gguf::Reader& file, std::span<const FitTensor> tensors,
                                     const Noise& noise, const std::vector<std::vector<Token>>& windows,
                                     const FitOptions& options);

}  // namespace coterie::quantize
