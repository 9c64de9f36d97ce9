// The JSON of a checkpoint, read and quoted: what base/json.h parses, made fit for one-line errors.
#pragma once

#include "base/json.h"

#include <string>

namespace coterie::convert {

using Json = nlohmann::ordered_json;

// A value from a hostile file as it may stand in an error message: ASCII, one line, at most 80 characters.
std::string shown(const Json& value);

}  // namespace coterie::convert
