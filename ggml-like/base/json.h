// JSON from files and requests: nlohmann-json behind limits, since every text is hostile until checked.
//
// Size and depth are bounded before and while the text is read, a duplicate key is refused (two readers of
// one file must not disagree), and every fault is a FileError "subject: byte N: reason".
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace coterie {

struct JsonLimits {
  std::uint64_t max_bytes;
  int max_depth;
};

// A whole regular file; throws FileError where it cannot be read or is larger.
std::string read_text(const std::string& path, std::uint64_t max_bytes);
nlohmann::ordered_json read_json(const std::string& path, JsonLimits limits);

nlohmann::ordered_json parse_json(std::string_view text, JsonLimits limits, const std::string& subject);

}  // namespace coterie
