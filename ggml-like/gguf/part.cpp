#include "gguf/part.h"

#include "base/checked.h"
#include "base/errors.h"
#include "gguf/limits.h"
#include "gguf/values.h"

#include <algorithm>

namespace coterie::gguf {

namespace {

std::string dec(std::uint64_t n) { return std::to_string(n); }

// Names are printed, compared and looked up; all that exist are plain ASCII, and control characters could
// forge output.
bool is_plain_name(std::string_view name) {
  return !name.empty() &&
         std::all_of(name.begin(), name.end(), [](char c) { return c >= 0x20 && c <= 0x7e; });
}

std::string_view take_name(Cursor& cursor, std::uint64_t longest, const char* what) {
  const std::uint64_t at = cursor.offset();
  const std::string_view name = cursor.text(longest, what);
  if (name.empty()) cursor.fail(at, std::string(what) + " is empty");
  if (!is_plain_name(name)) cursor.fail(at, std::string(what) + " is not printable ASCII");
  return name;
}

ValueType take_type(Cursor& cursor, const char* what) {
  const std::uint64_t at = cursor.offset();
  const ValueType type = static_cast<ValueType>(cursor.number<std::uint32_t>(what));
  if (!known_value_type(type))
    cursor.fail(at, std::string(what) + " " + dec(static_cast<std::uint32_t>(type)) + ", allowed 0 to 12");
  return type;
}

void take_elements(Cursor& cursor, ValueType type, std::uint64_t count) {
  if (type == ValueType::string) {
    for (std::uint64_t i = 0; i < count; ++i) cursor.text(limits::string_bytes, "string");
    return;
  }
  const std::uint64_t at = cursor.offset();
  const std::span<const std::byte> values = cursor.take(count * value_bytes(type), "value");
  if (type != ValueType::boolean) return;
  for (std::uint64_t i = 0; i < count; ++i)
    if (std::to_integer<int>(values[i]) > 1)
      cursor.fail(at + i, "boolean " + dec(std::to_integer<std::uint64_t>(values[i])) + ", allowed 0 or 1");
}

std::uint64_t take_count(Cursor& cursor, ValueType element_type) {
  const std::uint64_t at = cursor.offset();
  const std::uint64_t count = cursor.number<std::uint64_t>("array length");
  if (count > limits::array_elements)
    cursor.fail(at, "array of " + dec(count) + " elements, allowed at most " + dec(limits::array_elements));
  const std::uint64_t smallest = element_type == ValueType::string ? 8 : value_bytes(element_type);
  if (count > cursor.left() / smallest)
    cursor.fail(at, "array of " + dec(count) + " elements of at least " + dec(smallest) + " bytes, but " +
                        dec(cursor.left()) + " bytes are left");
  return count;
}

// The alignment that a key asks for, if it is that key.
void note_alignment(Cursor& cursor, const Key& key, std::uint64_t& alignment) {
  if (key.first != "general.alignment") return;
  const std::uint64_t at = cursor.offset() - key.second.bytes.size();
  if (key.second.type != ValueType::uint32)
    cursor.fail(at, std::string("type ") + value_type_name(key.second.type) + ", allowed UINT32");
  std::uint32_t value = 0;
  std::memcpy(&value, key.second.bytes.data(), sizeof value);
  if (value < limits::alignment_min || value > limits::alignment_max || (value & (value - 1)) != 0)
    cursor.fail(at, "alignment " + dec(value) + ", allowed a power of two from " +
                        dec(limits::alignment_min) + " to " + dec(limits::alignment_max));
  alignment = value;
}

void take_header(Cursor& cursor, Part& part) {
  const std::uint32_t magic = cursor.number<std::uint32_t>("magic");
  if (magic != 0x46554747)  // "GGUF"
    cursor.fail(0, "magic " + dec(magic) + ", allowed 1179993927: no GGUF file");
  part.version = cursor.number<std::uint32_t>("version");
  if (part.version != 2 && part.version != 3) {
    const bool swapped = part.version == 0x02000000 || part.version == 0x03000000;
    cursor.fail(4, "version " + dec(part.version) + (swapped ? " (big-endian)" : "") + ", allowed 2 or 3");
  }
  part.n_tensors = cursor.number<std::uint64_t>("tensor count");
  part.n_keys = cursor.number<std::uint64_t>("key count");
  const auto check = [&](std::uint64_t at, const char* what, std::uint64_t n, std::uint64_t most,
                         std::uint64_t smallest) {
    if (n > most) cursor.fail(at, std::string(what) + " " + dec(n) + ", allowed at most " + dec(most));
    if (n > cursor.left() / smallest)
      cursor.fail(at, std::string(what) + " " + dec(n) + ", allowed at most " +
                          dec(cursor.left() / smallest) + " in the " + dec(cursor.left()) +
                          " bytes that follow");
  };
  check(8, "tensor count", part.n_tensors, limits::tensors, limits::smallest_tensor);
  check(16, "key count", part.n_keys, limits::keys, limits::smallest_key);
}

// Where the tensors' data lie: aligned, in the order of the tensors, not overlapping, within the file.
void check_placement(const Part& part) {
  Cursor cursor = part.tensors();
  std::uint64_t end = 0;  // of the data so far, from the start of the data section
  for (std::uint64_t i = 0; i < part.n_tensors; ++i) {
    const TensorInfo t = next_tensor(cursor);
    const std::uint64_t at = cursor.offset() - sizeof t.offset;
    if (t.offset % part.alignment != 0)
      cursor.fail(at, "data offset " + dec(t.offset) + ", allowed a multiple of " + dec(part.alignment));
    if (t.offset < end)
      cursor.fail(at, "data offset " + dec(t.offset) + ", allowed from " + dec(end) +
                          ", where the data of the tensor before it end");
    const std::optional<std::uint64_t> within = checked_add(t.offset, t.bytes);
    if (part.data_at > part.bytes.size() || !within || *within > part.bytes.size() - part.data_at)
      cursor.fail(at, "data of " + dec(t.bytes) + " bytes at offset " + dec(t.offset) +
                          " of a data section at byte " + dec(part.data_at) + ", but the file has " +
                          dec(part.bytes.size()) + " bytes");
    end = *within;
  }
}

}  // namespace

std::span<const std::byte> Cursor::take(std::uint64_t n, const char* what) {
  if (n > left()) {
    if (bytes_.size() == limits::metadata_bytes)
      fail(at_, std::string(what) + ": metadata of more than " + dec(limits::metadata_bytes) + " bytes");
    fail(at_, std::string(what) + " of " + dec(n) + " bytes, but " + dec(left()) + " bytes are left");
  }
  const std::span<const std::byte> taken = bytes_.subspan(at_, n);
  at_ += n;
  return taken;
}

std::string_view Cursor::text(std::uint64_t longest, const char* what) {
  const std::uint64_t at = at_;
  const std::uint64_t n = number<std::uint64_t>(what);
  if (n > longest) fail(at, std::string(what) + " of " + dec(n) + " bytes, allowed at most " + dec(longest));
  const std::span<const std::byte> bytes = take(n, what);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void Cursor::fail(std::uint64_t at, const std::string& reason) const {
  std::string where = *path_ + ": byte " + dec(at) + ": ";
  if (kind_ != nullptr) where += std::string(kind_) + " " + std::string(name_.substr(0, 100)) + ": ";
  throw FileError(where + reason);
}

Cursor Part::keys() const {
  Cursor cursor(bytes.first(std::min<std::uint64_t>(bytes.size(), limits::metadata_bytes)), path);
  cursor.skip_to(keys_at);
  return cursor;
}

Cursor Part::tensors() const {
  Cursor cursor = keys();
  cursor.skip_to(tensors_at);
  return cursor;
}

Key next_key(Cursor& cursor) {
  cursor.within(nullptr, {});
  const std::string_view name = take_name(cursor, limits::key_bytes, "key");
  cursor.within("key", name);
  Value value{take_type(cursor, "value type"), {}, 1, {}};
  value.element_type = value.type;
  if (value.type == ValueType::array) {
    const std::uint64_t at = cursor.offset();
    value.element_type = take_type(cursor, "element type");
    if (value.element_type == ValueType::array)
      cursor.fail(at, "array of arrays, allowed numbers or strings");
    value.count = take_count(cursor, value.element_type);
  }
  Cursor payload = cursor;
  take_elements(cursor, value.element_type, value.count);
  value.bytes = payload.take(cursor.offset() - payload.offset(), "value");
  return {name, value};
}

TensorInfo next_tensor(Cursor& cursor) {
  cursor.within(nullptr, {});
  TensorInfo t{};
  t.name = take_name(cursor, limits::tensor_name_bytes, "tensor name");
  cursor.within("tensor", t.name);
  const std::uint64_t shape_at = cursor.offset() + 4;
  const std::uint32_t n_dims = cursor.number<std::uint32_t>("dimension count");
  if (n_dims < 1 || n_dims > limits::dims)
    cursor.fail(shape_at - 4, dec(n_dims) + " dimensions, allowed 1 to " + dec(limits::dims));
  t.n_dims = static_cast<int>(n_dims);
  t.shape = {1, 1, 1, 1};
  std::uint64_t elements = 1;
  for (std::size_t d = 0; d < n_dims; ++d) {
    const std::uint64_t n = cursor.number<std::uint64_t>("dimension");
    const std::optional<std::uint64_t> product = checked_mul(elements, n);
    if (n == 0 || !product || *product > static_cast<std::uint64_t>(INT64_MAX))
      cursor.fail(shape_at + 8 * d, "dimension " + dec(n) + ", allowed from 1 and 2^63 - 1 elements in all");
    elements = *product;
    t.shape[d] = static_cast<std::int64_t>(n);
  }
  const std::uint64_t format_at = cursor.offset();
  const std::uint32_t id = cursor.number<std::uint32_t>("tensor type");
  t.format = find_format(id);
  if (t.format == nullptr) cursor.fail(format_at, "tensor type " + dec(id) + ", which is unknown");
  if (t.shape[0] % t.format->block_size != 0)
    cursor.fail(shape_at, "rows of " + std::to_string(t.shape[0]) + " elements, allowed multiples of " +
                              std::to_string(t.format->block_size) + " for " + t.format->name);
  const std::optional<std::uint64_t> bytes =
      checked_mul(elements / static_cast<std::uint64_t>(t.format->block_size),
                  static_cast<std::uint64_t>(t.format->block_bytes));
  if (!bytes) cursor.fail(shape_at, dec(elements) + " elements, whose bytes exceed 2^64");
  t.bytes = *bytes;
  t.offset = cursor.number<std::uint64_t>("data offset");
  return t;
}

Part validate(std::string path, std::span<const std::byte> bytes) {
  Part part;
  part.path = std::move(path);
  part.bytes = bytes;
  Cursor cursor = part.keys();
  take_header(cursor, part);
  part.keys_at = cursor.offset();
  for (std::uint64_t i = 0; i < part.n_keys; ++i) {
    const Key key = next_key(cursor);
    note_alignment(cursor, key, part.alignment);
  }
  part.tensors_at = cursor.offset();
  for (std::uint64_t i = 0; i < part.n_tensors; ++i) next_tensor(cursor);
  part.metadata_bytes = cursor.offset();
  part.data_at = (part.metadata_bytes + part.alignment - 1) / part.alignment * part.alignment;
  check_placement(part);
  return part;
}

std::optional<Value> find_key(const Part& part, std::string_view key) {
  Cursor cursor = part.keys();
  for (std::uint64_t i = 0; i < part.n_keys; ++i)
    if (const Key k = next_key(cursor); k.first == key) return k.second;
  return std::nullopt;
}

}  // namespace coterie::gguf
