#include "convert/json_text.h"

#include "base/errors.h"
#include "base/mapping.h"

namespace coterie::convert {

std::string read_text(const std::string& path, std::uint64_t max_bytes) {
  const MappedFile file(path);
  const std::span<const std::byte> bytes = file.bytes();
  if (bytes.size() > max_bytes)
    throw FileError(path + ": has " + std::to_string(bytes.size()) + " bytes, at most " +
                    std::to_string(max_bytes));
  std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (file.failed()) throw FileError(path + ": cannot be read");
  return text;
}

Json read_json(const std::string& path, JsonLimits limits) {
  return parse_json(read_text(path, limits.max_bytes), limits, path);
}

std::string shown(const Json& value) {
  std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > 80) text = text.substr(0, 80) + "...";
  return text;
}

}  // namespace coterie::convert
