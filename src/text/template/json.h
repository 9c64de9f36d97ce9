// JSON in (the variables of a template) and out (the filter tojson).
#pragma once

#include "text/template/runtime.h"

#include <nlohmann/json.hpp>

namespace coterie::text::jinja {

// Every string and key becomes foreign text.
Value from_json(Runtime& rt, const nlohmann::ordered_json& json);

// As Python's json.dumps.
struct JsonStyle {
  std::optional<Marked> indent;  // what one level is indented by; none: all on one line
  Marked item_separator, key_separator;
  bool ensure_ascii = false, sort_keys = false;
};
void write_json(Runtime& rt, const Value& v, const JsonStyle& style, Marked& to);

}  // namespace coterie::text::jinja
