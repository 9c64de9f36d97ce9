// GGUF files, written: atomic, and streaming, so that no tensor need be in memory whole.
//
//   Writer file(path);
//   file.add_text("general.architecture", "deepseek2");
//   file.add<std::uint32_t>("deepseek2.block_count", 61);          // the type is always named
//   const int embd = file.add_tensor("token_embd.weight", shape, *find_format("Q8_0"));
//   file.begin_data();                    // metadata is complete: laid out and written
//   file.write(embd, 0, bytes);           // any tensor, any order, any thread
//   file.commit();                        // PATH.partial becomes PATH
//
// Until commit() the target name is untouched; a Writer destroyed before removes its partial file. Bytes are
// laid out as llama.cpp's writer does (version 3, tensors in the order declared, each padded to the
// alignment, the last one too). The alignment is 32 unless the key general.alignment says otherwise.
#pragma once

#include "base/output_file.h"
#include "formats/formats.h"
#include "gguf/reader.h"

#include <array>
#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_set>
#include <vector>

namespace coterie::gguf {

template <class T>
inline constexpr ValueType value_type_of = ValueType::string;  // no number: excluded by Number
template <>
inline constexpr ValueType value_type_of<std::uint8_t> = ValueType::uint8;
template <>
inline constexpr ValueType value_type_of<std::int8_t> = ValueType::int8;
template <>
inline constexpr ValueType value_type_of<std::uint16_t> = ValueType::uint16;
template <>
inline constexpr ValueType value_type_of<std::int16_t> = ValueType::int16;
template <>
inline constexpr ValueType value_type_of<std::uint32_t> = ValueType::uint32;
template <>
inline constexpr ValueType value_type_of<std::int32_t> = ValueType::int32;
template <>
inline constexpr ValueType value_type_of<std::uint64_t> = ValueType::uint64;
template <>
inline constexpr ValueType value_type_of<std::int64_t> = ValueType::int64;
template <>
inline constexpr ValueType value_type_of<float> = ValueType::float32;
template <>
inline constexpr ValueType value_type_of<double> = ValueType::float64;
template <>
inline constexpr ValueType value_type_of<bool> = ValueType::boolean;

template <class T>
concept Number = (value_type_of<T> != ValueType::string);


class Writer {
 public:
  explicit Writer(const std::string& path);  // no file is made before begin_data()

  // Keys, in the order of the calls; a key given twice, or after begin_data(), is an Error.
  template <Number T>
  void add(std::string_view key, std::type_identity_t<T> value) {
    add(key, Value{value_type_of<T>, value_type_of<T>, 1, std::as_bytes(std::span(&value, 1))});
  }
  template <Number T>
  void add_array(std::string_view key, std::type_identity_t<std::span<const T>> values) {
    add(key, Value{ValueType::array, value_type_of<T>, values.size(), std::as_bytes(values)});
  }
  void add_text(std::string_view key, std::string_view text);
  void add_texts(std::string_view key, std::span<const std::string> texts);
  void add(std::string_view key, const Value& value);  // as another file has it

  // Tensors, in the order of their data. shape: ne0 (contiguous) first, 1 to 4 dimensions. Returns the
  // tensor's index.
  int add_tensor(std::string_view name, std::span<const std::int64_t> shape, const FormatInfo& format);

  // Writes the metadata to PATH.partial. Throws DiskFullError where the disk has no room for the whole file.
  void begin_data();
  std::uint64_t file_bytes() const;  // of the finished file; valid after begin_data()
  std::uint64_t tensor_bytes(int tensor) const { return tensors_[static_cast<std::size_t>(tensor)].bytes; }

  // Bytes of a tensor's data at an offset within it. Threads may write different ranges at once.
  void write(int tensor, std::uint64_t offset, std::span<const std::byte> bytes);

  // Every byte of every tensor has been written: sync, rename, sync the directory.
  void commit();

 private:
  struct Slot {
    std::string name;
    std::vector<std::int64_t> shape;
    const FormatInfo* format;
    std::uint64_t bytes;
    std::uint64_t offset;  // from the start of the data section
  };

  void claim_name(const char* kind, std::string_view name);
  std::vector<std::byte> lay_out();

  std::string path_;
  std::uint64_t alignment_ = 32;
  std::uint64_t n_keys_ = 0;
  std::vector<std::byte> keys_;  // encoded
  std::vector<Slot> tensors_;
  std::unordered_set<std::string> names_;  // of keys and tensors, with their kind
  std::uint64_t data_start_ = 0;
  std::uint64_t data_bytes_ = 0;
  std::atomic<std::uint64_t> written_{0};
  std::unique_ptr<OutputFile> file_;  // from begin_data() on
};

}  // namespace coterie::gguf
