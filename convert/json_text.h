// The JSON of a checkpoint, read and quoted: what base/json.h parses, made fit for one-line errors.
#pragma once

#include "base/json.h"

#include <cstdint>
#include <string>

namespace coterie::convert {

using Json = nlohmann::ordered_json;

Json read_json(const std::string& path, JsonLimits limits);  // a whole file, as read_text

// A whole file; throws FileError where it cannot be read or is larger.
std::string read_text(const std::string& path, std::uint64_t max_bytes);

// A value from a hostile file as it may stand in an error message: ASCII, one line, at most 80 characters.
std::string shown(const Json& value);

}  // namespace coterie::convert
