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
// Until commit() the target name is untouched; a Writer destroyed before removes its partial file. For work of hours there
// is the Journal (journal.h), which takes the place of begin_data() and commit() and goes on where a killed process stopped.
// Bytes are laid out as llama.cpp's writer does (version 3, tensors in the order declared, each padded to the
// alignment, the last one too). The alignment is 32 unless the key general.alignment says otherwise.
//
// With a size limit the file comes in parts as llama.cpp splits it: OUT-00001-of-00003.gguf with all keys, the others with
// split.no, split.count and split.tensors.count only; what fits one part is one ordinary file. A tensor is never divided.
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

class Journal;

class Writer {
 public:
  explicit Writer(const std::string& path,
                  std::uint64_t most_bytes_per_part = 0);  // 0: one part. No file is made yet

  // Keys, in the order of the calls; a key given twice, or after lay_out(), is an Error.
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

  // Metadata is complete: from here on sizes and names of the parts are known. Nothing is written yet.
  void lay_out();
  std::uint64_t file_bytes() const;        // of all parts
  std::vector<std::string> paths() const;  // of the finished parts
  int tensor_count() const { return static_cast<int>(tensors_.size()); }
  std::uint64_t tensor_bytes(int tensor) const { return slot(tensor).bytes; }
  std::uint64_t data_bytes() const;  // of all tensors

  // Lays out, and writes the metadata to PATH.partial. Throws DiskFullError where the disk has no room for the whole file.
  void begin_data();

  // How many bytes at the front of a tensor's data need not be written again: 0 unless a journal found them done.
  std::uint64_t done(int tensor) const { return slot(tensor).done; }

  // Bytes of a tensor's data at an offset within it. Threads may write different ranges at once. Under a journal a tensor's
  // ranges should come in ascending order, whole rows: what lies behind a gap is not found done again.
  void write(int tensor, std::uint64_t offset, std::span<const std::byte> bytes);

  // Every byte of every tensor has been written: sync, rename, sync the directory.
  void commit();

 private:
  friend class Journal;

  struct Slot {
    std::string name;
    std::vector<std::int64_t> shape;
    const FormatInfo* format;
    std::uint64_t bytes;
    std::size_t part = 0;
    std::uint64_t offset = 0;  // from the start of the part's data section
    std::uint64_t done = 0;
  };
  struct Part {
    std::string path;
    std::vector<std::byte> metadata;  // padded to where the data start; released once written
    std::uint64_t data_start = 0;
    std::uint64_t data_bytes = 0;
    std::unique_ptr<OutputFile> file;  // from begin_data() on
  };

  const Slot& slot(int tensor) const { return tensors_.at(static_cast<std::size_t>(tensor)); }
  void claim_name(const char* kind, std::string_view name);
  void check_whole() const;  // throws Error where tensor data are missing
  std::size_t divide();
  void encode_metadata(std::size_t part, std::size_t n_parts);
  void open_part(Part& part, Unfinished unfinished);

  std::string path_;
  std::uint64_t most_bytes_per_part_;
  std::uint64_t alignment_ = 32;
  std::uint64_t n_keys_ = 0;
  std::vector<std::byte> keys_;  // encoded
  std::vector<Slot> tensors_;
  std::unordered_set<std::string> names_;  // of keys and tensors, with their kind
  std::vector<Part> parts_;                // from lay_out() on
  std::atomic<std::uint64_t> written_{0};
  Journal* journal_ = nullptr;
};

}  // namespace coterie::gguf
