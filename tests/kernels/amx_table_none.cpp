// For processors of another family.
#include "tests/kernels/amx_table.h"

namespace coterie::test {

AmxTrace& amx_trace() {
  static AmxTrace trace;
  return trace;
}

const Kernels* amx_model_kernels() { return nullptr; }

}  // namespace coterie::test
