// A golden checkpoint, copied and damaged: what a hostile or careless folder may hold.
#pragma once

#include "tests/support/golden.h"
#include "tests/support/scratch_dir.h"

#include <nlohmann/json.hpp>

#include <cstring>
#include <filesystem>
#include <functional>
#include <string>

namespace coterie::test {

using Json = nlohmann::ordered_json;

class DamagedCheckpoint {
 public:
  explicit DamagedCheckpoint(const std::string& model) {
    for (const auto& entry : std::filesystem::directory_iterator(golden("models/" + model)))
      write_file(folder() + "/" + entry.path().filename().string(), read_file(entry.path().string()));
  }
  std::string folder() const { return std::filesystem::path(dir_.file("x")).parent_path().string(); }

  // config.json or another JSON file, changed in place.
  void edit_json(const std::string& name, const std::function<void(Json&)>& edit) {
    const std::string path = folder() + "/" + name;
    Json json = parse(read_file(path), 0);
    edit(json);
    const std::string text = json.dump();
    write_file(path, std::as_bytes(std::span(text)));
  }

  // The header of a .safetensors file; its data stay.
  void edit_header(const std::function<void(Json&)>& edit, const std::string& name = "model.safetensors") {
    const std::vector<std::byte> old = read_file(folder() + "/" + name);
    std::uint64_t length = 0;
    std::memcpy(&length, old.data(), sizeof length);
    Json header = parse({old.begin(), old.begin() + static_cast<std::ptrdiff_t>(8 + length)}, 8);
    edit(header);
    const std::string text = header.dump();
    const std::uint64_t size = text.size();
    std::vector<std::byte> bytes(8 + text.size());
    std::memcpy(bytes.data(), &size, 8);
    std::memcpy(bytes.data() + 8, text.data(), text.size());
    bytes.insert(bytes.end(), old.begin() + static_cast<std::ptrdiff_t>(8 + length), old.end());
    write_file(folder() + "/" + name, bytes);
  }

 private:
  static Json parse(const std::vector<std::byte>& bytes, std::size_t from) {
    const auto* text = reinterpret_cast<const char*>(bytes.data());
    return Json::parse(text + from, text + bytes.size());
  }

  ScratchDir dir_;
};

// An entry under another name, in its place of the order.
inline void rename(Json& header, const std::string& from, const std::string& to) {
  Json result;
  for (const auto& [name, entry] : header.items()) result[name == from ? to : name] = entry;
  header = result;
}

}  // namespace coterie::test
