// GGUF files, read-only: mapped, validated in full before anything is believed.
//
// Versions 2 and 3, little-endian; a split model is opened by its first file (-00001-of-000NN.gguf). Layout:
// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. A Reader that was constructed is sound: counts,
// names, types, shapes and offsets are within the file and within the limits of limits.h, so that users
// contain no checks. Every fault is a FileError naming file, byte offset, key or tensor, what was found and
// what is allowed.
#pragma once

#include "base/mapping.h"
#include "formats/formats.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace coterie::gguf {

enum class ValueType : std::uint32_t {
  uint8,
  int8,
  uint16,
  int16,
  uint32,
  int32,
  float32,
  boolean,
  string,
  array,
  uint64,
  int64,
  float64
};

// One key's value, still in the mapped file.
struct Value {
  ValueType type;                    // array: see element_type and count
  ValueType element_type;            // of an array; equal to type otherwise
  std::uint64_t count;               // elements of an array; 1 otherwise
  std::span<const std::byte> bytes;  // the payload: packed numbers, or strings with their u64 lengths
};

struct TensorInfo {
  std::string_view name;
  std::array<std::int64_t, 4> shape;  // ne0 (contiguous) first, 1 beyond n_dims
  int n_dims;
  const FormatInfo* format;
  std::uint64_t offset;  // of the data, from the start of its file
  std::uint64_t bytes;
  const std::byte* data;  // in the mapping
  int file;               // which split

  std::int64_t rows() const { return shape[1] * shape[2] * shape[3]; }
  std::int64_t row_bytes() const { return format->row_bytes(shape[0]); }
  std::int64_t elements() const { return shape[0] * rows(); }
};

struct Part;  // part.h: one validated file

class Reader {
 public:
  explicit Reader(const std::string& path);  // throws FileError
  Reader(std::span<const std::byte> bytes,
         std::string name);  // a whole file in memory, which must outlive this

  const std::string& path() const { return path_; }
  int files() const { return std::max(1, static_cast<int>(files_.size())); }
  const std::string& file_path(int file) const;  // of TensorInfo::file
  std::uint32_t version() const { return version_; }
  std::uint64_t alignment() const { return alignment_; }
  std::uint64_t file_bytes() const { return file_bytes_; }          // all splits
  std::uint64_t metadata_bytes() const { return metadata_bytes_; }  // of the first file

  // Keys, in file order. Typed getters accept every integer width (a value out of range is a ModelError that
  // names the key), throw ModelError "FILE: key K: missing" where no default is given, and never convert
  // between kinds.
  const std::vector<std::pair<std::string_view, Value>>& keys() const { return keys_; }
  const Value* find(std::string_view key) const;  // nullptr: absent
  bool has(std::string_view key) const { return find(key) != nullptr; }
  std::string_view text(std::string_view key) const;
  std::string_view text(std::string_view key, std::string_view fallback) const;
  std::int64_t integer(std::string_view key, std::int64_t low, std::int64_t high) const;
  std::int64_t integer(std::string_view key, std::int64_t low, std::int64_t high,
                       std::int64_t fallback) const;
  float number(std::string_view key) const;  // FLOAT32 or FLOAT64, finite
  float number(std::string_view key, float fallback) const;
  bool flag(std::string_view key, bool fallback) const;
  std::vector<std::string_view> strings(std::string_view key) const;
  std::vector<std::int64_t> integers(std::string_view key) const;  // array of any integer type
  std::vector<float> numbers(std::string_view key) const;

  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  const TensorInfo* find_tensor(std::string_view name) const;  // nullptr: absent
  // Lets a tensor that is there have another format and its weights elsewhere, to see what a model makes of
  // them. Returns what it was, for undoing; data must outlive every use.
  TensorInfo substitute(std::string_view name, const FormatInfo& format, const std::byte* data);

  // True once a page of a mapping could not be read (file truncated, disk error) or a file was rewritten in
  // place: results since then are worthless. check_io() throws FileError saying which file.
  bool io_failed() const;
  void check_io() const;
  // Pages in use so far count no longer as this process's memory (MappedFile::release).
  void release() const;

 private:
  void build(std::span<const Part> parts);
  const Value& get(std::string_view key) const;  // throws ModelError when absent
  const Value& get(std::string_view key, ValueType type) const;
  const Value& get_array(std::string_view key) const;
  [[noreturn]] void fail(std::string_view key, const std::string& reason) const;

  std::string path_;
  std::uint32_t version_ = 0;
  std::uint64_t alignment_ = 32;
  std::uint64_t file_bytes_ = 0;
  std::uint64_t metadata_bytes_ = 0;
  std::vector<std::unique_ptr<MappedFile>> files_;
  std::vector<std::pair<std::string_view, Value>> keys_;
  std::unordered_map<std::string_view, std::size_t> key_index_;
  std::vector<TensorInfo> tensors_;
  std::unordered_map<std::string_view, std::size_t> tensor_index_;
};

}  // namespace coterie::gguf
