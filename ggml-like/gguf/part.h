// One GGUF file's bytes, validated before anything is allocated for them.
//
// validate() walks the metadata as often as it needs to and keeps only counts and positions; a second walk by
// the Reader, with the same bounds-checked cursor, then builds the tables. A file that claims much costs
// nothing until it is believed.
#pragma once

#include "gguf/reader.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace coterie::gguf {

// Reads forward within bounds; every fault is a FileError with file, offset and the key or tensor being read.
class Cursor {
 public:
  Cursor(std::span<const std::byte> bytes, const std::string& path) : bytes_(bytes), path_(&path) {}

  std::uint64_t offset() const { return at_; }
  std::uint64_t left() const { return bytes_.size() - at_; }
  void skip_to(std::uint64_t offset) { at_ = offset; }
  void within(const char* kind, std::string_view name) { kind_ = kind, name_ = name; }

  std::span<const std::byte> take(std::uint64_t n, const char* what);
  std::string_view text(std::uint64_t longest, const char* what);  // u64 length, then bytes
  template <class T>
  T number(const char* what) {
    T value;
    std::memcpy(&value, take(sizeof value, what).data(), sizeof value);
    return value;
  }
  [[noreturn]] void fail(std::uint64_t at, const std::string& reason) const;

 private:
  std::span<const std::byte> bytes_;
  const std::string* path_;
  std::uint64_t at_ = 0;
  const char* kind_ = nullptr;  // "key" or "tensor"
  std::string_view name_;
};

struct Part {
  std::string path;
  std::span<const std::byte> bytes;
  std::uint32_t version = 0;
  std::uint64_t alignment = 32;
  std::uint64_t n_keys = 0;
  std::uint64_t n_tensors = 0;
  std::uint64_t keys_at = 0;
  std::uint64_t tensors_at = 0;
  std::uint64_t metadata_bytes = 0;
  std::uint64_t data_at = 0;

  Cursor keys() const;     // at the first key
  Cursor tensors() const;  // at the first tensor
};

using Key = std::pair<std::string_view, Value>;
Key next_key(Cursor& cursor);
TensorInfo next_tensor(Cursor& cursor);  // offset: from the start of the data section; data and file unset

// Everything about one file but the uniqueness of names. Throws FileError.
Part validate(std::string path, std::span<const std::byte> bytes);

std::optional<Value> find_key(const Part& part, std::string_view key);

}  // namespace coterie::gguf
