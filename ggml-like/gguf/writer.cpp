#include "gguf/writer.h"

#include "base/errors.h"
#include "gguf/limits.h"
#include "gguf/values.h"

#include <cstring>
#include <numeric>

namespace coterie::gguf {

namespace {

void append(std::vector<std::byte>& out, std::span<const std::byte> bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

template <class T>
void append_number(std::vector<std::byte>& out, T value) {
  append(out, std::as_bytes(std::span(&value, 1)));
}

void append_text(std::vector<std::byte>& out, std::string_view text) {
  append_number<std::uint64_t>(out, text.size());
  append(out, std::as_bytes(std::span(text)));
}

std::uint64_t align(std::uint64_t n, std::uint64_t alignment) {
  return (n + alignment - 1) / alignment * alignment;
}

}  // namespace

Writer::Writer(const std::string& path) : path_(path) {}

void Writer::claim_name(const char* kind, std::string_view name) {
  const std::string full = std::string(kind) + " " + std::string(name);
  if (file_) throw Error(path_ + ": " + full + ": added after the metadata were written");
  if (!names_.insert(full).second) throw Error(path_ + ": " + full + ": added twice");
}

void Writer::add(std::string_view key, const Value& value) {
  claim_name("key", key);
  if (key == "general.alignment") {
    std::uint32_t n = 0;
    if (value.type == ValueType::uint32) std::memcpy(&n, value.bytes.data(), sizeof n);
    if (n < limits::alignment_min || n > limits::alignment_max || (n & (n - 1)) != 0)
      throw Error(path_ + ": key general.alignment: allowed a UINT32 that is a power of two from 8 to 65536");
    alignment_ = n;
  }
  append_text(keys_, key);
  append_number(keys_, value.type);
  if (value.type == ValueType::array) {
    append_number(keys_, value.element_type);
    append_number<std::uint64_t>(keys_, value.count);
  }
  append(keys_, value.bytes);
  ++n_keys_;
}

void Writer::add_text(std::string_view key, std::string_view text) {
  std::vector<std::byte> bytes;
  append_text(bytes, text);
  add(key, Value{ValueType::string, ValueType::string, 1, bytes});
}

void Writer::add_texts(std::string_view key, std::span<const std::string> texts) {
  std::vector<std::byte> bytes;
  for (const std::string& text : texts) append_text(bytes, text);
  add(key, Value{ValueType::array, ValueType::string, texts.size(), bytes});
}

int Writer::add_tensor(std::string_view name, std::span<const std::int64_t> shape, const FormatInfo& format) {
  claim_name("tensor", name);
  const bool sized = !shape.empty() && shape.size() <= limits::dims && shape[0] % format.block_size == 0;
  if (!sized) throw Error(path_ + ": tensor " + std::string(name) + ": shape does not fit " + format.name);
  const std::int64_t rows =
      std::accumulate(shape.begin() + 1, shape.end(), std::int64_t{1}, std::multiplies<>{});
  tensors_.push_back({std::string(name),
                      {shape.begin(), shape.end()},
                      &format,
                      static_cast<std::uint64_t>(rows * format.row_bytes(shape[0])),
                      0});
  return static_cast<int>(tensors_.size()) - 1;
}

// Places the tensors' data and returns the encoded metadata, padded to where the data start.
std::vector<std::byte> Writer::lay_out() {
  std::vector<std::byte> out;
  append_number<std::uint32_t>(out, 0x46554747);  // "GGUF"
  append_number<std::uint32_t>(out, 3);
  append_number<std::uint64_t>(out, tensors_.size());
  append_number<std::uint64_t>(out, n_keys_);
  append(out, keys_);
  data_bytes_ = 0;
  for (Slot& t : tensors_) {
    t.offset = data_bytes_;
    data_bytes_ += align(t.bytes, alignment_);
    append_text(out, t.name);
    append_number(out, static_cast<std::uint32_t>(t.shape.size()));
    for (const std::int64_t n : t.shape) append_number(out, n);
    append_number(out, t.format->gguf_id);
    append_number(out, t.offset);
  }
  data_start_ = align(out.size(), alignment_);
  out.resize(data_start_);
  return out;
}

void Writer::begin_data() {
  const std::vector<std::byte> metadata = lay_out();
  file_ = std::make_unique<OutputFile>(path_, file_bytes());
  file_->write_at(0, metadata);
  if (tensors_.empty()) return;
  // Gaps between tensors read as zeros because nothing is written there; the file's end must be written.
  const Slot& last = tensors_.back();
  const std::vector<std::byte> padding(align(last.bytes, alignment_) - last.bytes);
  file_->write_at(data_start_ + last.offset + last.bytes, padding);
}

std::uint64_t Writer::file_bytes() const { return data_start_ + data_bytes_; }

void Writer::write(int tensor, std::uint64_t offset, std::span<const std::byte> bytes) {
  const Slot& t = tensors_.at(static_cast<std::size_t>(tensor));
  if (!file_) throw Error(path_ + ": tensor " + t.name + ": data before begin_data()");
  if (offset > t.bytes || bytes.size() > t.bytes - offset)
    throw Error(path_ + ": tensor " + t.name + ": " + std::to_string(bytes.size()) + " bytes at offset " +
                std::to_string(offset) + " of " + std::to_string(t.bytes));
  file_->write_at(data_start_ + t.offset + offset, bytes);
  written_ += bytes.size();
}

void Writer::commit() {
  std::uint64_t expected = 0;
  for (const Slot& t : tensors_) expected += t.bytes;
  if (!file_ || written_ != expected)
    throw Error(path_ + ": " + std::to_string(written_) + " bytes of tensor data written, expected " +
                std::to_string(expected));
  file_->commit();
}

}  // namespace coterie::gguf
