// The value types of GGUF keys as data: their names and sizes, and any integer widened to one type.
#pragma once

#include "gguf/reader.h"

#include <cstddef>
#include <cstdint>
#include <optional>

namespace coterie::gguf {

bool known_value_type(ValueType type);
const char* value_type_name(ValueType type);
std::uint64_t value_bytes(ValueType type);  // of one number; 0 for strings and arrays, which vary
bool is_integer(ValueType type);            // of any width; booleans are none

// nullopt: above the largest int64.
std::optional<std::int64_t> widen_integer(ValueType type, const std::byte* bytes);
double widen_float(ValueType type, const std::byte* bytes);  // float32 or float64

}  // namespace coterie::gguf
