// The table of avx512amx over a model of the tiles (amx_model.h), for machines without AMX.
#pragma once

#include "kernels/kernels.h"

#include <cstdint>

namespace coterie::test {

// What the model saw on this thread, and what it is to do wrong.
struct AmxTrace {
  std::int64_t products = 0;
  std::int64_t faults = 0;     // where the processor would raise an exception
  bool planted_error = false;  // unsigned bytes are taken as signed
};
AmxTrace& amx_trace();

const Kernels* amx_model_kernels();  // nullptr: the rest of it cannot run here

}  // namespace coterie::test
