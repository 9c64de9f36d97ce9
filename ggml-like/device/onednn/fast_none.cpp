// Without oneDNN.
#include "device/onednn/fast.h"

namespace coterie {

const Kernels* fast_kernels() { return nullptr; }

std::string fast_library() { return "this build has no oneDNN (libdnnl-dev)"; }

}  // namespace coterie
