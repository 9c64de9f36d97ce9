#include "cli/files.h"

#include "base/errors.h"
#include "base/json.h"
#include "base/output_file.h"
#include "cli/terminal.h"

#include <strings.h>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <span>
#include <utility>

namespace coterie::cli {

constexpr std::size_t most_text = std::size_t{256} << 20;
constexpr int deepest_json = 64;

std::string read_text(const std::string& path) {
  const bool from_stdin = path == "-";
  const std::string subject = from_stdin ? "standard input" : path;
  const auto close = [](std::FILE* f) {
    if (f != stdin) std::fclose(f);
  };
  const std::unique_ptr<std::FILE, decltype(close)> file(from_stdin ? stdin : std::fopen(path.c_str(), "rb"),
                                                         close);
  if (!file) throw Error(subject + ": cannot be opened: " + std::strerror(errno));
  std::string text;
  char buffer[1 << 16];
  while (const std::size_t n = std::fread(buffer, 1, sizeof buffer, file.get())) {
    text.append(buffer, n);
    if (text.size() > most_text)
      throw Error(subject + ": found more than " + std::to_string(most_text) +
                  " bytes of text, the most allowed");
  }
  if (std::ferror(file.get())) throw Error(subject + ": cannot be read: " + std::strerror(errno));
  return text;
}

nlohmann::ordered_json read_json(const std::string& path) {
  try {
    return parse_json(read_text(path), {most_text, deepest_json}, path == "-" ? "standard input" : path);
  } catch (const FileError& e) {
    throw UsageError(e.what());  // an argument that is wrong, no model file
  }
}

std::vector<Token> token_ids(const nlohmann::ordered_json& json, std::size_t n_vocab,
                             const std::string& subject) {
  if (!json.is_array())
    throw UsageError(subject + ": found a JSON " + json.type_name() + ", expected an array of ids");
  std::vector<Token> ids;
  for (const nlohmann::ordered_json& id : json) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= n_vocab)
      throw UsageError(subject + ": found " +
                       id.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace) +
                       ", expected a token id below " + std::to_string(n_vocab));
    ids.push_back(id.get<Token>());
  }
  return ids;
}

bool is_folder(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored);
}

bool is_gguf_name(const std::string& path) { return path.ends_with(".gguf"); }

void write_text(const std::string& path, const std::string& text) {
  OutputFile file(path, text.size());
  file.write_at(0, std::as_bytes(std::span(text)));
  file.commit();
  report_written(path);
}

void report_written(const std::string& path) {
  std::fprintf(stderr, "wrote %s, %s\n", printable(path).c_str(),
               human_bytes(std::filesystem::file_size(path)).c_str());
}

std::string human_bytes(std::uint64_t bytes) {
  constexpr std::pair<const char*, double> units[] = {{"GiB", 0x1p30}, {"MiB", 0x1p20}, {"KiB", 0x1p10}};
  char text[32];
  for (const auto& [unit, size] : units)
    if (static_cast<double>(bytes) >= size) {
      std::snprintf(text, sizeof text, "%.2f %s", static_cast<double>(bytes) / size, unit);
      return text;
    }
  return std::to_string(bytes) + " B";
}

std::uint64_t parse_size(const std::string& option, const std::string& text) {
  constexpr std::pair<const char*, double> units[] = {
      {"", 1},         {"B", 1},        {"K", 1e3},      {"KB", 1e3},    {"M", 1e6},
      {"MB", 1e6},     {"G", 1e9},      {"GB", 1e9},     {"T", 1e12},    {"TB", 1e12},
      {"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"TiB", 0x1p40}};
  char* end = nullptr;
  const bool digit = !text.empty() && text[0] >= '0' && text[0] <= '9';
  const double number = digit ? std::strtod(text.c_str(), &end) : -1;
  for (const auto& [unit, size] : units)
    if (digit && strcasecmp(unit, end) == 0 && number * size < 0x1p62)
      return static_cast<std::uint64_t>(number * size);
  throw UsageError(option + ": found " + printable(text) + ", expected bytes, as in 48G, 192GB or 180GiB");
}

}  // namespace coterie::cli
