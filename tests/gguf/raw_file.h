// GGUF bytes put together by hand, right or wrong, and what the Reader says about them.
#pragma once

#include "base/errors.h"
#include "gguf/reader.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace coterie::test {

struct RawFile {
  std::vector<std::byte> bytes;

  template <class T>
  RawFile& put(T value) {
    const std::span<const std::byte> b = std::as_bytes(std::span(&value, 1));
    bytes.insert(bytes.end(), b.begin(), b.end());
    return *this;
  }
  RawFile& text(std::string_view s) {
    put<std::uint64_t>(s.size());
    const std::span<const std::byte> b = std::as_bytes(std::span(s));
    bytes.insert(bytes.end(), b.begin(), b.end());
    return *this;
  }
  RawFile& header(std::uint64_t n_tensors, std::uint64_t n_keys) {
    return put<std::uint32_t>(0x46554747).put<std::uint32_t>(3).put(n_tensors).put(n_keys);
  }
  RawFile& key(std::string_view name, gguf::ValueType type) { return text(name).put(type); }
  // One row of F32.
  RawFile& tensor(std::string_view name, std::uint64_t n, std::uint64_t offset) {
    return text(name).put<std::uint32_t>(1).put(n).put<std::uint32_t>(0).put(offset);
  }
  RawFile& pad(std::size_t alignment = 32) {
    bytes.resize((bytes.size() + alignment - 1) / alignment * alignment);
    return *this;
  }
};

// The Reader's complaint, or "accepted".
inline std::string complaint(std::span<const std::byte> bytes) {
  try {
    const gguf::Reader file(bytes, "x.gguf");
  } catch (const FileError& e) {
    return e.what();
  }
  return "accepted";
}
inline std::string complaint(const std::string& path) {
  try {
    const gguf::Reader file(path);
  } catch (const FileError& e) {
    return e.what();
  }
  return "accepted";
}

// A small sound file: a key of every value type, arrays, two tensors. 900-odd bytes.
RawFile small_file();

}  // namespace coterie::test
