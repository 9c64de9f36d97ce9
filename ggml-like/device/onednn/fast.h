// Products outside the numeric contract, for those who prefer speed to equal bits (--fast): F32, F16 and BF16 weights that meet
// several inputs, as in prompts, are left to oneDNN, where this build has it.
//
// It is called by the tasks of the team, for a piece of rows x tokens each, and stays on the thread that calls it.
#pragma once

#include "kernels/kernels.h"

#include <string>

namespace coterie {

// kernels() with those products replaced; nullptr: this build has no oneDNN.
const Kernels* fast_kernels();

// Its name and version, or what is missing.
std::string fast_library();

}  // namespace coterie
