#include "convert/json_text.h"

#include "base/errors.h"
#include "base/mapping.h"

namespace coterie::convert {

Json parse_text(std::string_view text, JsonLimits limits, const std::string& subject) {
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos)
    throw FileError(subject + ": byte " + std::to_string(nul) + ": NUL in JSON");
  try {
    return parse_json(text, limits, subject);
  } catch (const FileError& e) {
    // The parser quotes a number that overflows in full, whatever its length.
    const std::string message = e.what();
    const std::size_t most = subject.size() + 200;
    throw FileError(message.size() <= most ? message : message.substr(0, most) + "...");
  }
}

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
  return parse_text(read_text(path, limits.max_bytes), limits, path);
}

std::string shown(const Json& value) {
  std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (text.size() > 80) text = text.substr(0, 80) + "...";
  return text;
}

}  // namespace coterie::convert
