#include "gguf/writer.h"

#include "base/errors.h"
#include "gguf/journal.h"
#include "gguf/limits.h"
#include "gguf/values.h"

#include <cstdio>
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

template <class T>
void append_key(std::vector<std::byte>& out, std::string_view key, T value) {
  append_text(out, key);
  append_number(out, value_type_of<T>);
  append_number(out, value);
}

std::uint64_t align(std::uint64_t n, std::uint64_t alignment) {
  return (n + alignment - 1) / alignment * alignment;
}

constexpr std::uint64_t default_alignment = 32;
constexpr std::uint64_t preamble_bytes = 24;     // magic, version, two counts
constexpr std::uint64_t split_keys_bytes = 128;  // of the split keys, and general.alignment: a bound

std::uint64_t info_bytes(const std::string& name, std::size_t n_dims) {
  return sizeof(std::uint64_t) + name.size() + 4 + 8 * n_dims + 4 + 8;
}

// OUT.gguf -> OUT-00001-of-00003.gguf
std::string part_path(const std::string& path, std::size_t part, std::size_t n_parts) {
  const std::string end = ".gguf";
  char suffix[40];
  std::snprintf(suffix, sizeof suffix, "-%05zu-of-%05zu.gguf", part + 1, n_parts);
  return (path.ends_with(end) ? path.substr(0, path.size() - end.size()) : path) + suffix;
}

}  // namespace

Writer::Writer(const std::string& path, std::uint64_t most_bytes_per_part)
    : path_(path), most_bytes_per_part_(most_bytes_per_part) {}

void Writer::claim_name(const char* kind, std::string_view name) {
  const std::string full = std::string(kind) + " " + std::string(name);
  if (!parts_.empty()) throw Error(path_ + ": " + full + ": added after the metadata were complete");
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

// The part of each tensor; returns their number.
std::size_t Writer::divide() {
  std::size_t part = 0;
  std::uint64_t metadata = preamble_bytes + keys_.size() + split_keys_bytes, data = 0;
  bool empty = true;
  for (Slot& t : tensors_) {
    const std::uint64_t info = info_bytes(t.name, t.shape.size()), bytes = align(t.bytes, alignment_);
    const bool fits = most_bytes_per_part_ == 0 ||
                      align(metadata + info, alignment_) + data + bytes <= most_bytes_per_part_;
    if (!fits && !empty) {
      ++part;
      metadata = preamble_bytes + split_keys_bytes;
      data = 0;
    }
    t.part = part;
    t.offset = data;
    metadata += info;
    data += bytes;
    empty = false;
  }
  return part + 1;
}

void Writer::encode_metadata(std::size_t number, std::size_t n_parts) {
  Part& part = parts_[number];
  std::uint64_t n_tensors = 0;
  for (const Slot& t : tensors_) n_tensors += t.part == number ? 1 : 0;
  const bool split = n_parts > 1, aligned = number > 0 && alignment_ != default_alignment;
  std::vector<std::byte>& out = part.metadata;
  append_number<std::uint32_t>(out, 0x46554747);  // "GGUF"
  append_number<std::uint32_t>(out, 3);
  append_number<std::uint64_t>(out, n_tensors);
  append_number<std::uint64_t>(out, (number == 0 ? n_keys_ : 0) + (split ? 3 : 0) + (aligned ? 1 : 0));
  if (number == 0) append(out, keys_);
  if (aligned) append_key<std::uint32_t>(out, "general.alignment", static_cast<std::uint32_t>(alignment_));
  if (split) {
    append_key<std::uint16_t>(out, "split.no", static_cast<std::uint16_t>(number));
    append_key<std::uint16_t>(out, "split.count", static_cast<std::uint16_t>(n_parts));
    append_key<std::int32_t>(out, "split.tensors.count", static_cast<std::int32_t>(tensors_.size()));
  }
  for (const Slot& t : tensors_) {
    if (t.part != number) continue;
    append_text(out, t.name);
    append_number(out, static_cast<std::uint32_t>(t.shape.size()));
    for (const std::int64_t n : t.shape) append_number(out, n);
    append_number(out, t.format->gguf_id);
    append_number(out, t.offset);
    part.data_bytes = t.offset + align(t.bytes, alignment_);
  }
  part.data_start = align(out.size(), alignment_);
  out.resize(part.data_start);
}

void Writer::lay_out() {
  if (!parts_.empty()) return;
  const std::size_t n_parts = divide();
  if (n_parts > limits::written_parts)
    throw UsageError(path_ + ": would come in " + std::to_string(n_parts) + " parts, at most " +
                     std::to_string(limits::written_parts) + " are allowed");
  parts_.resize(n_parts);
  for (std::size_t i = 0; i < n_parts; ++i) {
    parts_[i].path = n_parts == 1 ? path_ : part_path(path_, i, n_parts);
    encode_metadata(i, n_parts);
  }
}

std::uint64_t Writer::file_bytes() const {
  std::uint64_t sum = 0;
  for (const Part& part : parts_) sum += part.data_start + part.data_bytes;
  return sum;
}

std::uint64_t Writer::data_bytes() const {
  std::uint64_t sum = 0;
  for (const Slot& t : tensors_) sum += t.bytes;
  return sum;
}

std::vector<std::string> Writer::paths() const {
  std::vector<std::string> paths;
  for (const Part& part : parts_) paths.push_back(part.path);
  return paths;
}

void Writer::open_part(Part& part, Unfinished unfinished) {
  const std::uint64_t size = part.data_start + part.data_bytes;
  part.file = std::make_unique<OutputFile>(part.path, size, unfinished);
  part.file->write_at(0, part.metadata);
  part.metadata = {};
  // Gaps between tensors read as zeros because nothing is written there; the file's end must be written.
  const Slot* last = nullptr;
  for (const Slot& t : tensors_)
    if (&parts_[t.part] == &part) last = &t;
  if (last == nullptr) return;
  const std::uint64_t end = part.data_start + last->offset + last->bytes;
  part.file->write_at(end, std::vector<std::byte>(size - end));
}

void Writer::begin_data() {
  lay_out();
  check_room(path_, file_bytes());
  for (Part& part : parts_) open_part(part, Unfinished::removed);
}

void Writer::write(int tensor, std::uint64_t offset, std::span<const std::byte> bytes) {
  const Slot& t = slot(tensor);
  if (parts_.empty() || !parts_[t.part].file)
    throw Error(path_ + ": tensor " + t.name + ": data before begin_data()");
  if (offset > t.bytes || bytes.size() > t.bytes - offset)
    throw Error(path_ + ": tensor " + t.name + ": " + std::to_string(bytes.size()) + " bytes at offset " +
                std::to_string(offset) + " of " + std::to_string(t.bytes));
  parts_[t.part].file->write_at(parts_[t.part].data_start + t.offset + offset, bytes);
  written_ += bytes.size();
  if (journal_ != nullptr) journal_->record(*this, tensor, offset, bytes);
}

void Writer::check_whole() const {
  std::uint64_t expected = 0;
  for (const Slot& t : tensors_) expected += t.bytes - t.done;
  if (parts_.empty() || written_ != expected)
    throw Error(path_ + ": " + std::to_string(written_) + " bytes of tensor data written, expected " +
                std::to_string(expected));
}

void Writer::commit() {
  check_whole();
  for (Part& part : parts_)
    if (part.file) part.file->commit();
}

}  // namespace coterie::gguf
