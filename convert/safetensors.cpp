#include "convert/safetensors.h"

#include "base/checked.h"
#include "base/errors.h"
#include "base/fp8.h"
#include "base/half.h"
#include "convert/json_text.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <optional>
#include <set>

namespace coterie::convert {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t max_header_bytes = 100'000'000;  // the reference's limit
constexpr std::uint64_t max_index_bytes = 64ULL << 20;
constexpr int max_depth = 8;
constexpr std::size_t max_dims = 16;

struct DtypeInfo {
  const char* name;
  Dtype dtype;
  std::uint64_t bytes;
  void (*decode)(const std::byte* from, std::int64_t n, float* out);  // nullptr: no float type
};

// memcpy because nothing in the file is aligned; sixteen at a time because the compiler makes vector instructions of a loop
// whose length it knows.
template <class Stored, class Convert>
void decode_each(const std::byte* from, std::int64_t n, float* out, Convert convert) {
  constexpr std::int64_t lanes = 16;
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    std::array<Stored, lanes> stored;
    std::memcpy(stored.data(), from + i * static_cast<std::int64_t>(sizeof(Stored)), sizeof stored);
    for (std::size_t j = 0; j < lanes; ++j) out[i + static_cast<std::int64_t>(j)] = convert(stored[j]);
  }
  for (; i < n; ++i) {
    Stored stored;
    std::memcpy(&stored, from + i * static_cast<std::int64_t>(sizeof(Stored)), sizeof stored);
    out[i] = convert(stored);
  }
}

void decode_f64(const std::byte* from, std::int64_t n, float* out) {
  decode_each<double>(from, n, out, [](double v) { return static_cast<float>(v); });
}
void decode_f32(const std::byte* from, std::int64_t n, float* out) {
  decode_each<float>(from, n, out, [](float v) { return v; });
}
void decode_f16(const std::byte* from, std::int64_t n, float* out) {
  decode_each<std::uint16_t>(from, n, out, [](std::uint16_t v) { return half_to_float(v); });
}
void decode_bf16(const std::byte* from, std::int64_t n, float* out) {
  decode_each<std::uint16_t>(from, n, out, [](std::uint16_t v) { return bf16_to_float(v); });
}
void decode_e4m3(const std::byte* from, std::int64_t n, float* out) {
  decode_each<std::uint8_t>(from, n, out, [](std::uint8_t v) { return e4m3_to_float(v); });
}
void decode_e5m2(const std::byte* from, std::int64_t n, float* out) {
  decode_each<std::uint8_t>(from, n, out, [](std::uint8_t v) { return e5m2_to_float(v); });
}

constexpr DtypeInfo dtypes[] = {
    {"F64", Dtype::F64, 8, decode_f64},
    {"F32", Dtype::F32, 4, decode_f32},
    {"F16", Dtype::F16, 2, decode_f16},
    {"BF16", Dtype::BF16, 2, decode_bf16},
    {"F8_E4M3", Dtype::F8_E4M3, 1, decode_e4m3},
    {"F8_E5M2", Dtype::F8_E5M2, 1, decode_e5m2},
    {"I64", Dtype::I64, 8, nullptr},
    {"I32", Dtype::I32, 4, nullptr},
    {"I16", Dtype::I16, 2, nullptr},
    {"I8", Dtype::I8, 1, nullptr},
    {"U8", Dtype::U8, 1, nullptr},
    {"U16", Dtype::U16, 2, nullptr},
    {"U32", Dtype::U32, 4, nullptr},
    {"U64", Dtype::U64, 8, nullptr},
    {"BOOL", Dtype::BOOL, 1, nullptr},
};

const DtypeInfo& info_of(Dtype dtype) {
  return *std::find_if(std::begin(dtypes), std::end(dtypes),
                       [&](const DtypeInfo& d) { return d.dtype == dtype; });
}

// Faults of one tensor's entry: file, where the data begins, tensor, what is wrong.
struct EntryFault {
  const std::string& path;
  std::uint64_t offset;
  std::string name;

  [[noreturn]] void operator()(const std::string& what) const {
    throw FileError(path + ": offset " + std::to_string(offset) + ": tensor " + shown(Json(name)) + ": " +
                    what);
  }
};

// A member of an entry, which must be there.
const Json& member(const Json& entry, const char* key, const EntryFault& fault) {
  const auto found = entry.find(key);
  if (found == entry.end()) fault(std::string(key) + " is missing");
  return *found;
}

const DtypeInfo& read_dtype(const Json& entry, const EntryFault& fault) {
  const Json& value = member(entry, "dtype", fault);
  if (value.is_string())
    for (const DtypeInfo& d : dtypes)
      if (value.get_ref<const std::string&>() == d.name) return d;
  fault("dtype is " + shown(value) + ", allowed are F64 to F8_E5M2, I8 to I64, U8 to U64 and BOOL");
}

// A list of non-negative integers below 2^63.
std::vector<std::int64_t> read_integers(const Json& entry, const char* key, std::size_t most,
                                        const EntryFault& fault) {
  const Json& value = member(entry, key, fault);
  if (!value.is_array()) fault(std::string(key) + " is " + shown(value) + ", expected a list of integers");
  if (value.size() > most)
    fault(std::string(key) + " has " + std::to_string(value.size()) + " entries, at most " +
          std::to_string(most));
  std::vector<std::int64_t> numbers;
  for (const Json& number : value) {
    if (!number.is_number_unsigned() || number.get<std::uint64_t>() > INT64_MAX)
      fault(std::string(key) + " holds " + shown(number) + ", allowed are integers from 0 to 2^63 - 1");
    numbers.push_back(number.get<std::int64_t>());
  }
  return numbers;
}

std::uint64_t read_bytes(const DtypeInfo& dtype, const std::vector<std::int64_t>& shape,
                         const EntryFault& fault) {
  std::optional<std::uint64_t> bytes = dtype.bytes;
  for (const std::int64_t n : shape)
    if (bytes) bytes = checked_mul(*bytes, static_cast<std::uint64_t>(n));
  if (!bytes) fault("shape " + shown(Json(shape)) + " has more than 2^64 bytes");
  return *bytes;
}

SafeTensor read_entry(const std::string& name, const Json& entry, std::span<const std::byte> data,
                      const EntryFault& fault) {
  if (!entry.is_object()) fault("entry is " + shown(entry) + ", expected an object");
  const DtypeInfo& dtype = read_dtype(entry, fault);
  SafeTensor t{name, dtype.dtype, read_integers(entry, "shape", max_dims, fault), {}, 0};

  const std::vector<std::int64_t> range = read_integers(entry, "data_offsets", 2, fault);
  if (range.size() != 2) fault("data_offsets has " + std::to_string(range.size()) + " entries, expected 2");
  const auto begin = static_cast<std::uint64_t>(range[0]), end = static_cast<std::uint64_t>(range[1]);
  if (begin > end || end > data.size())
    fault("data_offsets are " + std::to_string(begin) + " to " + std::to_string(end) +
          ", allowed are ascending offsets up to " + std::to_string(data.size()));
  const std::uint64_t expected = read_bytes(dtype, t.shape, fault);
  if (end - begin != expected)
    fault("has " + std::to_string(end - begin) + " bytes, its shape and dtype ask for " +
          std::to_string(expected));
  t.bytes = data.subspan(begin, end - begin);
  return t;
}

void check_metadata(const std::string& path, const Json& metadata) {
  const bool strings =
      metadata.is_object() &&
      std::all_of(metadata.begin(), metadata.end(), [](const Json& value) { return value.is_string(); });
  if (!strings)
    throw FileError(path + ": offset 8: __metadata__ is " + shown(metadata) + ", expected texts only");
}

// The format allows neither gap nor overlap, and nothing after the last tensor.
void check_coverage(const std::string& path, std::span<const SafeTensor> tensors,
                    std::span<const std::byte> data, std::uint64_t data_start) {
  std::vector<const SafeTensor*> order;
  for (const SafeTensor& t : tensors) order.push_back(&t);
  std::sort(order.begin(), order.end(), [](const SafeTensor* a, const SafeTensor* b) {
    return std::pair(a->bytes.data(), a->bytes.size()) < std::pair(b->bytes.data(), b->bytes.size());
  });
  std::uint64_t end = 0;
  for (const SafeTensor* t : order) {
    const auto begin = static_cast<std::uint64_t>(t->bytes.data() - data.data());
    if (begin != end)
      EntryFault{path, data_start + begin, t->name}("begins at data offset " + std::to_string(begin) +
                                                    ", the one before ends at " + std::to_string(end));
    end = begin + t->bytes.size();
  }
  if (end != data.size())
    throw FileError(path + ": offset " + std::to_string(data_start + end) + ": " +
                    std::to_string(data.size() - end) + " bytes after the last tensor, allowed are 0");
}

// Appends the tensors of one file, in header order.
void read_file(std::span<const std::byte> bytes, const std::string& path, int shard,
               std::vector<SafeTensor>& out) {
  std::uint64_t header = 0;
  if (bytes.size() < sizeof header)
    throw FileError(path + ": offset 0: file has " + std::to_string(bytes.size()) +
                    " bytes, at least 8 expected");
  std::memcpy(&header, bytes.data(), sizeof header);
  const std::uint64_t most = std::min<std::uint64_t>(max_header_bytes, bytes.size() - sizeof header);
  if (header < 2 || header > most)
    throw FileError(path + ": offset 0: header length is " + std::to_string(header) + ", allowed are 2 to " +
                    std::to_string(most));

  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + sizeof header, header);
  const Json json = parse_json(text, {max_header_bytes, max_depth}, path + ": header");
  if (!json.is_object())
    throw FileError(path + ": offset 8: header is " + shown(json) + ", expected an object");

  const std::uint64_t data_start = sizeof header + header;
  const std::span<const std::byte> data = bytes.subspan(data_start);
  const std::size_t first = out.size();
  for (const auto& [name, entry] : json.items()) {
    if (name == "__metadata__") {
      check_metadata(path, entry);
      continue;
    }
    out.push_back(read_entry(name, entry, data, EntryFault{path, data_start, name}));
    out.back().shard = shard;
  }
  check_coverage(path, std::span(out).subspan(first), data, data_start);
}

// tensor name -> file name, as model.safetensors.index.json has it; every file name is checked.
std::map<std::string, std::string> read_index(const std::string& path) {
  const Json json = read_json(path, {max_index_bytes, max_depth});
  const auto found = json.is_object() ? json.find("weight_map") : json.end();
  if (!json.is_object() || found == json.end() || !found->is_object())
    throw FileError(path + ": weight_map is missing or no object");

  std::map<std::string, std::string> shards;
  for (const auto& [tensor, shard] : found->items()) {
    // A plain name: whatever the folder's separators, nothing here can name a file outside it.
    const bool plain = shard.is_string() && !shard.get_ref<const std::string&>().empty() &&
                       shard.get_ref<const std::string&>().find_first_of(std::string_view("/\\:\0", 4)) ==
                           std::string::npos &&
                       shard != "." && shard != "..";
    if (!plain)
      throw FileError(path + ": weight_map: tensor " + shown(Json(tensor)) + ": shard is " + shown(shard) +
                      ", expected a file name without path");
    shards.emplace(tensor, shard.get<std::string>());
  }
  return shards;
}

}  // namespace

std::int64_t SafeTensor::elements() const {
  return static_cast<std::int64_t>(bytes.size() / info_of(dtype).bytes);
}

const char* name_of(Dtype dtype) { return info_of(dtype).name; }

SafeTensors::SafeTensors(const std::string& file_or_folder) : path_(file_or_folder) {
  const fs::path path(file_or_folder);
  const fs::path index = path / "model.safetensors.index.json";
  std::error_code ignored;
  if (!fs::is_directory(path, ignored))
    open_shard(path.string());
  else if (fs::exists(index, ignored))
    open_folder(index.string());
  else
    open_shard((path / "model.safetensors").string());
}

SafeTensors::SafeTensors(std::span<const std::byte> file, const std::string& subject) : path_(subject) {
  add(file, subject);
}

void SafeTensors::open_shard(const std::string& path) {
  files_.push_back(std::make_unique<MappedFile>(path));
  add(files_.back()->bytes(), path);
}

void SafeTensors::add(std::span<const std::byte> bytes, const std::string& path) {
  std::size_t next = tensors_.size();
  read_file(bytes, path, static_cast<int>(files_.size()) - 1, tensors_);
  for (; next < tensors_.size(); ++next)
    if (!index_.emplace(tensors_[next].name, next).second)
      throw FileError(path + ": tensor " + shown(Json(tensors_[next].name)) + ": a shard before has it too");
}

// Shards and index must agree in both directions, so that no tensor is lost or taken from the wrong file.
void SafeTensors::open_folder(const std::string& index) {
  const std::map<std::string, std::string> shard_of = read_index(index);
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : shard_of) shards.insert(shard);

  for (const std::string& shard : shards) {
    std::size_t next = tensors_.size();
    open_shard((fs::path(path_) / shard).string());
    for (; next < tensors_.size(); ++next) {
      const auto named = shard_of.find(tensors_[next].name);
      if (named == shard_of.end() || named->second != shard)
        throw FileError(files_.back()->path() + ": tensor " + shown(Json(tensors_[next].name)) +
                        ": the index names " + (named == shard_of.end() ? "no shard" : named->second) +
                        " for it");
    }
  }
  for (const auto& [tensor, shard] : shard_of)
    if (!index_.contains(tensor))
      throw FileError(index + ": tensor " + shown(Json(tensor)) + ": not in its shard " + shard);
}

const SafeTensor* SafeTensors::find(const std::string& name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

const SafeTensor& SafeTensors::get(const std::string& name) const {
  const SafeTensor* t = find(name);
  if (t == nullptr) throw ModelError(path_ + ": tensor " + shown(Json(name)) + ": missing");
  return *t;
}

void SafeTensors::check_io() const {
  for (const auto& file : files_) file->check();
}

void SafeTensors::release() const {
  for (const auto& file : files_) file->release();
}

std::vector<std::string> SafeTensors::files() const {
  std::vector<std::string> paths;
  for (const auto& file : files_) paths.push_back(file->path());
  return paths;
}

bool is_float(Dtype dtype) { return info_of(dtype).decode != nullptr; }

void to_float(const SafeTensor& t, std::int64_t first, std::int64_t n, float* out) {
  const DtypeInfo& dtype = info_of(t.dtype);
  dtype.decode(t.bytes.data() + first * static_cast<std::int64_t>(dtype.bytes), n, out);
}

std::vector<float> to_float(const SafeTensor& t) {
  if (!is_float(t.dtype))
    throw ModelError("tensor " + shown(Json(t.name)) + ": dtype is " + name_of(t.dtype) +
                     ", expected a float type");
  std::vector<float> values(static_cast<std::size_t>(t.elements()));
  to_float(t, 0, t.elements(), values.data());
  return values;
}

}  // namespace coterie::convert
