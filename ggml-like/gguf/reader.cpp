#include "gguf/reader.h"

#include "base/errors.h"
#include "gguf/limits.h"
#include "gguf/part.h"
#include "gguf/values.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

namespace coterie::gguf {

namespace {

// A split's own facts. A file without the keys is one part of one.
struct Split {
  std::uint64_t no = 0;
  std::uint64_t count = 1;
  std::uint64_t tensors = 0;  // in all parts
};

std::optional<std::uint64_t> split_key(const Part& part, std::string_view name) {
  const std::optional<Value> value = find_key(part, name);
  if (!value) return std::nullopt;
  const std::optional<std::int64_t> n =
      is_integer(value->type) ? widen_integer(value->type, value->bytes.data()) : std::nullopt;
  const std::uint64_t at = static_cast<std::uint64_t>(value->bytes.data() - part.bytes.data());
  if (!n || *n < 0)
    throw FileError(part.path + ": byte " + std::to_string(at) + ": key " + std::string(name) +
                    ": allowed an integer from 0");
  return static_cast<std::uint64_t>(*n);
}

Split split_of(const Part& part) {
  Split split;
  const std::optional<std::uint64_t> count = split_key(part, "split.count");
  if (!count || *count <= 1) return split;
  split.count = *count;
  split.no = split_key(part, "split.no").value_or(0);
  split.tensors = split_key(part, "split.tensors.count").value_or(0);
  if (split.count > limits::parts || split.no >= split.count)
    throw FileError(part.path + ": key split.no: part " + std::to_string(split.no) + " of " +
                    std::to_string(split.count) + ", allowed parts below their count, at most " +
                    std::to_string(limits::parts));
  return split;
}

std::string suffix(std::uint64_t part, std::uint64_t count) {
  char text[64];
  std::snprintf(text, sizeof text, "-%05llu-of-%05llu.gguf", static_cast<unsigned long long>(part + 1),
                static_cast<unsigned long long>(count));
  return text;
}

// "dir/x-00001-of-00003.gguf" -> "dir/x"
std::string stem_of_first(const Part& first, const Split& split) {
  const std::string end = suffix(split.no, split.count);
  if (!first.path.ends_with(end))
    throw FileError(first.path + ": part " + std::to_string(split.no + 1) + " of " +
                    std::to_string(split.count) + ", whose name must end in " + end);
  const std::string stem = first.path.substr(0, first.path.size() - end.size());
  if (split.no != 0)
    throw FileError(first.path + ": part " + std::to_string(split.no + 1) +
                    " of a split model, open the first: " + stem + suffix(0, split.count));
  return stem;
}

void check_part(const Part& part, std::uint64_t no, const Split& first) {
  const Split split = split_of(part);
  if (split.no != no || split.count != first.count)
    throw FileError(part.path + ": keys split.no, split.count: part " + std::to_string(split.no + 1) +
                    " of " + std::to_string(split.count) + ", expected " + std::to_string(no + 1) + " of " +
                    std::to_string(first.count));
}

void check_tensor_count(std::span<const Part> parts, const Split& split) {
  std::uint64_t n = 0;
  for (const Part& part : parts) n += part.n_tensors;
  if (split.count > 1 && n != split.tensors)
    throw FileError(parts[0].path + ": key split.tensors.count: " + std::to_string(split.tensors) +
                    ", but the parts have " + std::to_string(n) + " tensors");
}

// Two entries of one name would let two readers of a file disagree. Takes 16 bytes per name, less than the
// file spends.
void check_unique(std::vector<std::string_view> names, const char* kind, std::span<const Part> parts) {
  std::sort(names.begin(), names.end(), [](std::string_view a, std::string_view b) {
    return a != b ? a < b : std::less<>{}(a.data(), b.data());
  });
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice == names.end()) return;
  const std::byte* at = reinterpret_cast<const std::byte*>(std::next(twice)->data());
  for (const Part& part : parts)
    if (!std::less<>{}(at, part.bytes.data()) && std::less<>{}(at, part.bytes.data() + part.bytes.size()))
      throw FileError(part.path + ": byte " + std::to_string(at - part.bytes.data() - 8) + ": " + kind + " " +
                      std::string(twice->substr(0, 100)) + ": name occurs twice");
}

void check_names(std::span<const Part> parts) {
  std::vector<std::string_view> names;
  names.reserve(parts[0].n_keys);
  Cursor keys = parts[0].keys();
  for (std::uint64_t i = 0; i < parts[0].n_keys; ++i) names.push_back(next_key(keys).first);
  check_unique(std::move(names), "key", parts);

  names = {};
  std::uint64_t n = 0;
  for (const Part& part : parts) n += part.n_tensors;
  names.reserve(n);
  for (const Part& part : parts) {
    Cursor tensors = part.tensors();
    for (std::uint64_t i = 0; i < part.n_tensors; ++i) names.push_back(next_tensor(tensors).name);
  }
  check_unique(std::move(names), "tensor", parts);
}

}  // namespace

Reader::Reader(const std::string& path) : path_(path) {
  files_.push_back(std::make_unique<MappedFile>(path));
  std::vector<Part> parts;
  parts.push_back(validate(path, files_[0]->bytes()));
  const Split split = split_of(parts[0]);
  const std::string stem = split.count > 1 ? stem_of_first(parts[0], split) : "";
  for (std::uint64_t i = 1; i < split.count; ++i) {
    const std::string next = stem + suffix(i, split.count);
    files_.push_back(std::make_unique<MappedFile>(next));
    parts.push_back(validate(next, files_.back()->bytes()));
    check_part(parts.back(), i, split);
  }
  check_tensor_count(parts, split);
  build(parts);
  check_io();
}

Reader::Reader(std::span<const std::byte> bytes, std::string name) : path_(std::move(name)) {
  const Part part = validate(path_, bytes);
  if (split_of(part).count > 1)
    throw FileError(path_ + ": key split.count: a split model, expected one in memory");
  build({&part, 1});
}

// From here on the file is accepted, and tables may be made of it.
void Reader::build(std::span<const Part> parts) {
  check_names(parts);
  version_ = parts[0].version;
  alignment_ = parts[0].alignment;
  metadata_bytes_ = parts[0].metadata_bytes;
  Cursor keys = parts[0].keys();
  for (std::uint64_t i = 0; i < parts[0].n_keys; ++i) {
    keys_.push_back(next_key(keys));
    key_index_.emplace(keys_.back().first, i);
  }
  for (std::size_t file = 0; file < parts.size(); ++file) {
    const Part& part = parts[file];
    file_bytes_ += part.bytes.size();
    Cursor tensors = part.tensors();
    for (std::uint64_t i = 0; i < part.n_tensors; ++i) {
      TensorInfo t = next_tensor(tensors);
      t.offset += part.data_at;
      t.data = part.bytes.data() + t.offset;
      t.file = static_cast<int>(file);
      tensor_index_.emplace(t.name, tensors_.size());
      tensors_.push_back(t);
    }
  }
}

const std::string& Reader::file_path(int file) const {
  return files_.empty() ? path_ : files_.at(static_cast<std::size_t>(file))->path();
}

void Reader::fail(std::string_view key, const std::string& reason) const {
  throw ModelError(path_ + ": key " + std::string(key) + ": " + reason);
}

const Value* Reader::find(std::string_view key) const {
  const auto found = key_index_.find(key);
  return found == key_index_.end() ? nullptr : &keys_[found->second].second;
}

const Value& Reader::get(std::string_view key) const {
  const Value* value = find(key);
  if (value == nullptr) fail(key, "missing");
  return *value;
}

const Value& Reader::get(std::string_view key, ValueType type) const {
  const Value& value = get(key);
  if (value.type != type)
    fail(key, std::string("type ") + value_type_name(value.type) + ", expected " + value_type_name(type));
  return value;
}

const Value& Reader::get_array(std::string_view key) const { return get(key, ValueType::array); }

std::string_view Reader::text(std::string_view key) const {
  const Value& value = get(key, ValueType::string);
  return {reinterpret_cast<const char*>(value.bytes.data()) + 8, value.bytes.size() - 8};
}

std::string_view Reader::text(std::string_view key, std::string_view fallback) const {
  return has(key) ? text(key) : fallback;
}

std::int64_t Reader::integer(std::string_view key, std::int64_t low, std::int64_t high) const {
  const Value& value = get(key);
  if (!is_integer(value.type))
    fail(key, std::string("type ") + value_type_name(value.type) + ", expected an integer");
  const std::optional<std::int64_t> n = widen_integer(value.type, value.bytes.data());
  if (!n || *n < low || *n > high)
    fail(key, "value " + (n ? std::to_string(*n) : "above 2^63") + ", allowed " + std::to_string(low) +
                  " to " + std::to_string(high));
  return *n;
}

std::int64_t Reader::integer(std::string_view key, std::int64_t low, std::int64_t high,
                             std::int64_t fallback) const {
  return has(key) ? integer(key, low, high) : fallback;
}

float Reader::number(std::string_view key) const {
  const Value& value = get(key);
  if (value.type != ValueType::float32 && value.type != ValueType::float64)
    fail(key, std::string("type ") + value_type_name(value.type) + ", expected FLOAT32");
  const float f = static_cast<float>(widen_float(value.type, value.bytes.data()));
  if (!std::isfinite(f)) fail(key, "value " + std::to_string(f) + ", allowed finite numbers");
  return f;
}

float Reader::number(std::string_view key, float fallback) const { return has(key) ? number(key) : fallback; }

bool Reader::flag(std::string_view key, bool fallback) const {
  return has(key) ? get(key, ValueType::boolean).bytes[0] != std::byte{0} : fallback;
}

std::vector<std::string_view> Reader::strings(std::string_view key) const {
  const Value& value = get_array(key);
  if (value.element_type != ValueType::string)
    fail(key, std::string("array of ") + value_type_name(value.element_type) + ", expected STRING");
  std::vector<std::string_view> texts;
  texts.reserve(value.count);
  Cursor cursor(value.bytes, path_);  // checked again: the file may have been rewritten since
  for (std::uint64_t i = 0; i < value.count; ++i)
    texts.push_back(cursor.text(limits::string_bytes, "string"));
  return texts;
}

std::vector<std::int64_t> Reader::integers(std::string_view key) const {
  const Value& value = get_array(key);
  if (!is_integer(value.element_type))
    fail(key, std::string("array of ") + value_type_name(value.element_type) + ", expected integers");
  std::vector<std::int64_t> all;
  all.reserve(value.count);
  for (std::uint64_t i = 0; i < value.count; ++i) {
    const std::byte* at = value.bytes.data() + i * value_bytes(value.element_type);
    const std::optional<std::int64_t> n = widen_integer(value.element_type, at);
    if (!n) fail(key, "element " + std::to_string(i) + " above 2^63, allowed below");
    all.push_back(*n);
  }
  return all;
}

std::vector<float> Reader::numbers(std::string_view key) const {
  const Value& value = get_array(key);
  if (value.element_type != ValueType::float32 && value.element_type != ValueType::float64)
    fail(key, std::string("array of ") + value_type_name(value.element_type) + ", expected FLOAT32");
  std::vector<float> all;
  all.reserve(value.count);
  for (std::uint64_t i = 0; i < value.count; ++i)
    all.push_back(static_cast<float>(
        widen_float(value.element_type, value.bytes.data() + i * value_bytes(value.element_type))));
  return all;
}

const TensorInfo* Reader::find_tensor(std::string_view name) const {
  const auto found = tensor_index_.find(name);
  return found == tensor_index_.end() ? nullptr : &tensors_[found->second];
}

TensorInfo Reader::substitute(std::string_view name, const FormatInfo& format, const std::byte* data) {
  TensorInfo& t = tensors_[tensor_index_.at(name)];
  const TensorInfo old = t;
  t.format = &format;
  t.data = data;
  t.bytes = static_cast<std::uint64_t>(t.rows() * t.row_bytes());
  return old;
}

bool Reader::io_failed() const {
  return std::any_of(files_.begin(), files_.end(), [](const auto& file) { return file->failed(); });
}

void Reader::check_io() const {
  for (const auto& file : files_) file->check();
}

void Reader::release() const {
  for (const auto& file : files_) file->release();
}

}  // namespace coterie::gguf
