#include "tests/convert/manifest.h"

#include "gguf/values.h"
#include "tests/support/scratch_dir.h"
#include "tests/support/sha256.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <cstring>

namespace coterie::test {

namespace {

using Json = nlohmann::ordered_json;

Json read_json(const std::string& path) {
  const std::vector<std::byte> bytes = read_file(path);
  const auto* text = reinterpret_cast<const char*>(bytes.data());
  return Json::parse(text, text + bytes.size());
}

std::string upper_name(gguf::ValueType type) {
  std::string name = gguf::value_type_name(type);
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::toupper(c); });
  return name;
}

Json scalar(gguf::ValueType type, const std::byte* bytes) {
  if (type == gguf::ValueType::boolean) return bytes[0] != std::byte{0};
  if (gguf::is_integer(type)) return gguf::widen_integer(type, bytes).value();
  return gguf::widen_float(type, bytes);
}

// As Python's json.dumps writes a list.
std::string python_dump(const Json& list) {
  std::string text = "[";
  for (const Json& element : list) text += (text.size() > 1 ? ", " : "") + element.dump(-1, ' ', true);
  return text + "]";
}

Json list_of(const gguf::Reader& file, std::string_view key, const gguf::Value& value) {
  Json list = Json::array();
  if (value.element_type == gguf::ValueType::string)
    for (const std::string_view text : file.strings(key)) list.push_back(std::string(text));
  else
    for (std::uint64_t i = 0; i < value.count; ++i)
      list.push_back(
          scalar(value.element_type, value.bytes.data() + i * gguf::value_bytes(value.element_type)));
  if (list.size() <= 64) return list;
  const std::string dump = python_dump(list);
  return {{"length", list.size()}, {"sha256_of_json", sha256(std::as_bytes(std::span(dump)))}};
}

Json manifest_entry(const gguf::Reader& file, std::string_view key, const gguf::Value& value) {
  if (value.type == gguf::ValueType::array)
    return {{"type", {"ARRAY", upper_name(value.element_type)}}, {"value", list_of(file, key, value)}};
  const Json content = value.type == gguf::ValueType::string ? Json(std::string(file.text(key)))
                                                             : scalar(value.type, value.bytes.data());
  return {{"type", {upper_name(value.type)}}, {"value", content}};
}

// A manifest shows the ends of a long list beside its hash.
Json without_ends(Json entry) {
  if (entry["value"].is_object()) {
    entry["value"].erase("first");
    entry["value"].erase("last");
  }
  return entry;
}

Json manifest_entry(const gguf::Reader& file, const gguf::TensorInfo& t) {
  const std::vector<std::int64_t> shape(t.shape.begin(), t.shape.begin() + t.n_dims);
  const std::uint64_t start = file.tensors().front().offset;
  return {{"name", std::string(t.name)},
          {"type", t.format->name},
          {"ne", shape},
          {"offset", t.offset - start},
          {"bytes", t.bytes},
          {"sha256", sha256({t.data, static_cast<std::size_t>(t.bytes)})}};
}

}  // namespace

std::vector<std::string> differences(const gguf::Reader& file, const std::string& path) {
  const Json manifest = read_json(path);
  std::vector<std::string> lines;
  std::vector<std::pair<std::string, Json>> expected;
  for (const auto& [key, entry] : manifest["kv"].items())
    if (!key.starts_with("GGUF.")) expected.emplace_back(key, without_ends(entry));
  for (std::size_t i = 0; i < std::max(expected.size(), file.keys().size()); ++i) {
    const std::string want =
        i < expected.size() ? expected[i].first + " " + expected[i].second.dump() : "nothing";
    std::string got = "nothing";
    if (i < file.keys().size()) {
      const auto& [key, value] = file.keys()[i];
      got = std::string(key) + " " + manifest_entry(file, key, value).dump();
    }
    if (got != want)
      lines.push_back("key: found " + got.substr(0, 300) + ", expected " + want.substr(0, 300));
  }
  const Json& tensors = manifest["tensors"];
  for (std::size_t i = 0; i < std::max(tensors.size(), file.tensors().size()); ++i) {
    const std::string want = i < tensors.size() ? tensors[i].dump() : "nothing";
    const std::string got =
        i < file.tensors().size() ? manifest_entry(file, file.tensors()[i]).dump() : "nothing";
    if (got != want) lines.push_back("tensor: found " + got + ", expected " + want);
  }
  return lines;
}

std::vector<std::string> tensor_differences(const gguf::Reader& file, const std::string& path) {
  std::vector<std::string> lines;
  const Json manifest = read_json(path);
  if (manifest["tensors"].size() != file.tensors().size()) lines.push_back("another number of tensors");
  for (const Json& want : manifest["tensors"]) {
    const gguf::TensorInfo* t = file.find_tensor(want["name"].get<std::string>());
    if (t == nullptr) {
      lines.push_back("missing: " + want.dump());
      continue;
    }
    Json got = manifest_entry(file, *t);
    got.erase("offset");
    got.erase("bytes");
    if (got != want) lines.push_back("tensor: found " + got.dump() + ", expected " + want.dump());
  }
  return lines;
}

}  // namespace coterie::test
