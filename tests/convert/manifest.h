// Compares a GGUF file with a golden manifest: what llama.cpp's converter wrote for the same checkpoint.
#pragma once

#include "gguf/reader.h"

#include <string>
#include <vector>

namespace coterie::test {

// One line per difference: keys, their order, types and values; tensors, their order, types, shapes, offsets
// and bytes.
std::vector<std::string> differences(const gguf::Reader& file, const std::string& manifest);

// The same for a manifest of types, shapes and bytes only, in any order.
std::vector<std::string> tensor_differences(const gguf::Reader& file, const std::string& manifest);

}  // namespace coterie::test
