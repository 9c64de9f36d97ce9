// coterie inspect PATH [--tensors] [--match TEXT] [--json]: what a GGUF file or a safetensors folder holds.
//
// Both kinds are first made into one Description, which is then printed in either form.
#include "base/errors.h"
#include "cli/command.h"
#include "cli/files.h"
#include "cli/terminal.h"
#include "convert/safetensors.h"
#include "gguf/reader.h"
#include "gguf/values.h"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace coterie::cli {

namespace {

using Json = nlohmann::ordered_json;

struct TensorLine {
  std::string name, format;
  std::vector<std::int64_t> shape;  // in the file's own order: GGUF has the contiguous dimension first
  std::uint64_t bytes;
  std::int64_t elements;
};

struct Description {
  std::string container;  // "GGUF 3", "safetensors"
  std::string architecture;
  std::uint64_t file_bytes = 0;
  Json keys = Json::object();
  std::vector<TensorLine> tensors;
};

struct Total {
  std::size_t tensors = 0;
  std::uint64_t bytes = 0;
};

// Numbers and texts as they are, an array as "type[count]" unless it is short.
Json json_of(const gguf::Value& value);

Json scalar(gguf::ValueType type, const std::byte* bytes) {
  if (type == gguf::ValueType::boolean) return bytes[0] != std::byte{0};
  if (!gguf::is_integer(type)) return gguf::widen_float(type, bytes);
  if (const std::optional<std::int64_t> n = gguf::widen_integer(type, bytes)) return *n;
  std::uint64_t large = 0;
  std::memcpy(&large, bytes, sizeof large);
  return large;
}

Json json_of(const gguf::Value& value) {
  using gguf::ValueType;
  constexpr std::uint64_t short_array = 16;
  if (value.type != ValueType::array) {
    if (value.type != ValueType::string) return scalar(value.type, value.bytes.data());
    return std::string(reinterpret_cast<const char*>(value.bytes.data()) + 8, value.bytes.size() - 8);
  }
  const std::uint64_t width = gguf::value_bytes(value.element_type);
  if (width == 0 || value.count > short_array)
    return std::string(gguf::value_type_name(value.element_type)) + "[" + std::to_string(value.count) + "]";
  Json array = Json::array();
  for (std::uint64_t i = 0; i < value.count; ++i)
    array.push_back(scalar(value.element_type, value.bytes.data() + i * width));
  return array;
}

Description describe_gguf(const std::string& path) {
  const gguf::Reader file(path);
  Description d;
  d.container = "GGUF " + std::to_string(file.version());
  d.file_bytes = file.file_bytes();
  // The reader knows that names are unique; looking each up among those before would be quadratic.
  auto& keys = static_cast<std::vector<Json::object_t::value_type>&>(d.keys.get_ref<Json::object_t&>());
  for (const auto& [key, value] : file.keys()) keys.emplace_back(std::string(key), json_of(value));
  const auto architecture = d.keys.find("general.architecture");
  if (architecture != d.keys.end() && architecture->is_string())
    d.architecture = architecture->get<std::string>();
  for (const gguf::TensorInfo& t : file.tensors())
    d.tensors.push_back({std::string(t.name),
                         t.format->name,
                         {t.shape.begin(), t.shape.begin() + t.n_dims},
                         t.bytes,
                         t.elements()});
  return d;
}

Description describe_safetensors(const std::string& path) {
  const convert::SafeTensors files(path);
  Description d;
  d.container = "safetensors";
  for (const convert::SafeTensor& t : files.tensors()) {
    d.tensors.push_back({t.name, convert::name_of(t.dtype), t.shape, t.bytes.size(), t.elements()});
    d.file_bytes += t.bytes.size();
  }
  const std::string config = path + "/config.json";
  if (!std::filesystem::exists(config)) return d;
  d.keys = read_json(config);
  const auto names = d.keys.find("architectures");
  if (names != d.keys.end() && names->is_array() && !names->empty() && names->front().is_string())
    d.architecture = names->front().get<std::string>();
  return d;
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (const std::int64_t n : shape) text += (text.empty() ? "" : " x ") + std::to_string(n);
  return text;
}

std::string one_line(const Json& value) {
  constexpr std::size_t longest = 100;
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() <= longest) return text;
  std::size_t cut = longest;
  while ((static_cast<unsigned char>(text[cut]) & 0xc0) == 0x80) --cut;  // not inside a character
  return text.substr(0, cut) + "...";
}

void print_text(const std::string& path, const Description& d, const std::map<std::string, Total>& totals,
                bool list) {
  std::int64_t weights = 0;
  for (const TensorLine& t : d.tensors) weights += t.elements;
  std::printf("%s: %s, %s, %zu tensors, %.2f M weights, %s\n", printable(path).c_str(), d.container.c_str(),
              d.architecture.empty() ? "no architecture named" : printable(d.architecture).c_str(),
              d.tensors.size(), static_cast<double>(weights) / 1e6, human_bytes(d.file_bytes).c_str());
  for (const auto& [key, value] : d.keys.items())
    std::printf("  %-44s %s\n", printable(key).c_str(), printable(one_line(value)).c_str());
  for (const auto& [format, total] : totals)
    std::printf("  %-10s %5zu tensors  %s\n", format.c_str(), total.tensors,
                human_bytes(total.bytes).c_str());
  if (!list) return;
  for (const TensorLine& t : d.tensors)
    std::printf("  %-48s %-8s %-28s %s\n", printable(t.name).c_str(), t.format.c_str(),
                shape_text(t.shape).c_str(), human_bytes(t.bytes).c_str());
}

void print_json(const std::string& path, const Description& d, const std::map<std::string, Total>& totals,
                bool list) {
  Json out{{"path", path},
           {"container", d.container},
           {"architecture", d.architecture},
           {"bytes", d.file_bytes},
           {"n_tensors", d.tensors.size()},
           {"keys", d.keys},
           {"formats", Json::object()}};
  for (const auto& [format, total] : totals)
    out["formats"][format] = {{"tensors", total.tensors}, {"bytes", total.bytes}};
  if (list) {
    out["tensors"] = Json::array();
    for (const TensorLine& t : d.tensors)
      out["tensors"].push_back(
          {{"name", t.name}, {"format", t.format}, {"shape", t.shape}, {"bytes", t.bytes}});
  }
  std::printf("%s\n", out.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
}

int inspect(Args& args) {
  const std::string path = args.positional("PATH", "a GGUF file, a .safetensors file or a folder of them");
  const bool list = args.flag("--tensors", "one line per tensor");
  const std::string match =
      args.option("--match TEXT", "", "only tensors whose name contains this; implies --tensors");
  const bool json = args.flag("--json", "print one JSON object");
  args.finish();

  const bool safetensors = is_folder(path) || path.ends_with(".safetensors");
  Description d = safetensors ? describe_safetensors(path) : describe_gguf(path);
  std::erase_if(d.tensors, [&](const TensorLine& t) { return t.name.find(match) == std::string::npos; });
  std::map<std::string, Total> totals;
  for (const TensorLine& t : d.tensors) {
    ++totals[t.format].tensors;
    totals[t.format].bytes += t.bytes;
  }
  (json ? print_json : print_text)(path, d, totals, list || !match.empty());
  return 0;
}

}  // namespace

const Command inspect_command{"inspect", "describe a model file: keys, tensors, bytes per format", inspect,
                              "coterie inspect model.gguf\ncoterie inspect model.gguf --match ffn_down_exps\n"
                              "coterie inspect DeepSeek-R1/ --json"};

}  // namespace coterie::cli
