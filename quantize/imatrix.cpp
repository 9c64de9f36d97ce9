#include "quantize/imatrix.h"

#include "base/errors.h"
#include "gguf/part.h"
#include "gguf/writer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

namespace coterie::quantize {

namespace {

constexpr std::string_view sums_suffix = ".in_sum2";
constexpr std::string_view counts_suffix = ".counts";
constexpr std::int64_t max_dat_entries = 1 << 20;
constexpr std::int64_t max_dat_name = 256;
constexpr std::int64_t max_dat_dataset = 1 << 20;
constexpr std::int64_t max_integer = std::numeric_limits<std::uint32_t>::max();

std::string named(const std::string& path, std::string_view tensor) {
  return path + ": importance of " + std::string(tensor);
}

float float_at(std::span<const std::byte> bytes, std::int64_t i) {
  float value;
  std::memcpy(&value, bytes.data() + static_cast<std::size_t>(i) * sizeof value, sizeof value);
  return value;
}

std::vector<float> floats_of(std::span<const std::byte> bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

std::span<const std::byte> bytes_of(const gguf::TensorInfo& t) {
  return {t.data, static_cast<std::size_t>(t.bytes)};
}

bool usable(float value) { return std::isfinite(value) && value >= 0; }

}  // namespace

ImportanceMatrix::ImportanceMatrix(const std::string& path) : path_(path) {
  dat_ = std::make_unique<MappedFile>(path);
  const std::string_view magic = "GGUF";
  const std::span<const std::byte> bytes = dat_->bytes();
  if (bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0) {
    dat_.reset();
    gguf_ = std::make_unique<gguf::Reader>(path);
    read_gguf();
  } else {
    read_dat();
  }
  check();
}

void ImportanceMatrix::read_gguf() {
  const gguf::Reader& f = *gguf_;
  if (const std::string type(f.text("general.type", "imatrix")); type != "imatrix")
    throw FileError(path_ + ": key general.type: found \"" + type + "\", expected \"imatrix\"");
  for (const gguf::TensorInfo& t : f.tensors()) {
    const bool sums = t.name.ends_with(sums_suffix);
    if (!sums && !t.name.ends_with(counts_suffix)) continue;
    const std::string name(t.name.substr(0, t.name.size() - (sums ? sums_suffix : counts_suffix).size()));
    if (std::string_view(t.format->name) != "F32")
      throw FileError(named(path_, name) + ": found type " + t.format->name + ", expected F32");
    Entry& e = entries_[name];
    if (sums)
      e.sums = bytes_of(t);
    else
      e.counts = floats_of(bytes_of(t));
    e.tokens = true;
  }
  if (f.has("imatrix.datasets"))
    for (const std::string_view name : f.strings("imatrix.datasets")) datasets_.emplace_back(name);
  chunk_count_ = f.integer("imatrix.chunk_count", 0, max_integer, 0);
  chunk_size_ = f.integer("imatrix.chunk_size", 0, max_integer, 0);
  read_forced();
}

void ImportanceMatrix::read_forced() {
  const std::string prefix = "coterie.imatrix.forced.";
  if (!gguf_->has(prefix + "tensors")) return;
  const std::vector<std::string_view> tensors = gguf_->strings(prefix + "tensors");
  const std::vector<std::int64_t> experts = gguf_->integers(prefix + "experts");
  const std::vector<std::int64_t> tokens = gguf_->integers(prefix + "tokens");
  if (experts.size() != tensors.size() || tokens.size() != tensors.size())
    throw FileError(path_ + ": keys " + prefix + "*: found " + std::to_string(tensors.size()) + " tensors, " +
                    std::to_string(experts.size()) + " experts and " + std::to_string(tokens.size()) +
                    " tokens, expected as many of each");
  for (std::size_t i = 0; i < tensors.size(); ++i)
    forced_.push_back({std::string(tensors[i]), experts[i], tokens[i]});
}

void ImportanceMatrix::read_dat() {
  gguf::Cursor cursor(dat_->bytes(), path_);  // bounds and offsets in messages are the same for both forms
  const auto count = [&](const char* what, std::int64_t low, std::int64_t high) {
    const std::uint64_t at = cursor.offset();
    const std::int64_t n = cursor.number<std::int32_t>(what);
    if (n < low || n > high)
      cursor.fail(at, std::string(what) + " " + std::to_string(n) + ", allowed " + std::to_string(low) +
                          " to " + std::to_string(high));
    return n;
  };
  const auto text = [&](std::int64_t length, const char* what) {
    const std::span<const std::byte> b = cursor.take(static_cast<std::uint64_t>(length), what);
    return std::string(reinterpret_cast<const char*>(b.data()), b.size());
  };
  constexpr std::int64_t any = std::numeric_limits<std::int32_t>::max();
  const std::int64_t n_entries = count("entry count", 1, max_dat_entries);
  for (std::int64_t i = 0; i < n_entries; ++i) {
    const std::uint64_t at = cursor.offset();
    const std::string name = text(count("length of a name", 1, max_dat_name), "name");
    const std::int64_t calls = count("number of calls", 0, any);
    const std::int64_t values = count("number of values", 1, any);
    if (entries_.contains(name)) cursor.fail(at, "entry " + name + ": found twice");
    Entry& e = entries_[name];
    e.sums = cursor.take(static_cast<std::uint64_t>(values) * sizeof(float), "values");
    e.counts = {static_cast<float>(std::max<std::int64_t>(calls, 1))};
  }
  if (cursor.left() == 0) return;  // early files end here
  chunk_count_ = count("number of chunks", 0, any);
  if (cursor.left() == 0) return;
  const std::int64_t length = count("length of the dataset's name", 0, max_dat_dataset);
  if (length > 0) datasets_.push_back(text(length, "dataset's name"));
}

// From here on every entry has as many sums as its counts divide, all finite and none negative.
void ImportanceMatrix::check() const {
  if (entries_.empty())
    throw FileError(path_ + ": found no tensor NAME.in_sum2, expected an importance matrix");
  for (const auto& [name, e] : entries_) {
    if (e.sums.empty() || e.counts.empty())
      throw FileError(named(path_, name) + ": found " + (e.sums.empty() ? "counts" : "sums") +
                      " alone, expected both " + std::string(sums_suffix) + " and " +
                      std::string(counts_suffix));
    if (e.n_sums() % static_cast<std::int64_t>(e.counts.size()) != 0)
      throw FileError(named(path_, name) + ": found " + std::to_string(e.n_sums()) + " sums and " +
                      std::to_string(e.counts.size()) + " counts, expected as many sums for each count");
    for (std::int64_t i = 0; i < e.n_sums(); ++i)
      if (const float x = float_at(e.sums, i); !usable(x))
        throw FileError(named(path_, name) + ": sum " + std::to_string(i) + ": found " + std::to_string(x) +
                        ", expected a finite number of at least 0");
    for (const float x : e.counts)
      if (!usable(x))
        throw FileError(named(path_, name) + ": found a count of " + std::to_string(x) +
                        ", expected a finite number of at least 0");
  }
  if (gguf_) gguf_->check_io();
  if (dat_) dat_->check();
}

std::vector<float> ImportanceMatrix::weights(std::string_view tensor, std::int64_t n,
                                             std::int64_t matrix) const {
  const auto found = entries_.find(tensor);
  if (found == entries_.end()) return {};
  const Entry& e = found->second;
  const auto n_counts = static_cast<std::int64_t>(e.counts.size());
  const std::int64_t per_count = e.n_sums() / n_counts;
  const bool one_for_all = e.n_sums() == n;
  if (n < 1 || matrix < 0 || per_count % n != 0 || (!one_for_all && matrix >= e.n_sums() / n))
    throw ModelError(named(path_, tensor) + ": found " + std::to_string(e.n_sums()) +
                     " columns, expected those of matrix " + std::to_string(matrix) + " with rows of " +
                     std::to_string(n));
  const std::int64_t first = one_for_all ? 0 : matrix * n;
  std::vector<float> out(static_cast<std::size_t>(n));
  const auto add = [&](std::int64_t from,
                       float count) {  // in double, so that a mean of many stays exact enough
    for (std::int64_t i = 0; i < n; ++i)
      out[static_cast<std::size_t>(i)] += static_cast<float>(double{float_at(e.sums, from + i)} / count);
  };
  if (const float count = e.counts[static_cast<std::size_t>(first / per_count)]; count > 0) {
    add(first, count);
  } else {
    float reached = 0;
    for (std::int64_t i = 0; i < n_counts; ++i)
      if (const float c = e.counts[static_cast<std::size_t>(i)]; c > 0) {
        add(i * per_count + first % per_count, c);
        ++reached;
      }
    if (reached == 0) return {};
    for (float& x : out) x /= reached;
  }
  if (gguf_) gguf_->check_io();
  if (dat_) dat_->check();
  return out;
}

std::int64_t ImportanceMatrix::tokens(std::string_view tensor, std::int64_t matrix) const {
  const auto found = entries_.find(tensor);
  if (found == entries_.end() || !found->second.tokens) return 0;
  const std::vector<float>& counts = found->second.counts;
  const std::int64_t last = static_cast<std::int64_t>(counts.size()) - 1;
  return std::llround(counts[static_cast<std::size_t>(std::clamp<std::int64_t>(matrix, 0, last))]);
}

std::vector<std::string> ImportanceMatrix::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) names.push_back(name);
  return names;
}

namespace {

// Writes doubles or integers as the floats of a tensor, a piece at a time: the sums of a large model are
// gigabytes.
template <class T>
void write_floats(gguf::Writer& file, int tensor, std::span<const T> values) {
  constexpr std::size_t piece = 1 << 16;
  std::vector<float> floats;
  for (std::size_t at = 0; at < values.size(); at += piece) {
    const std::span<const T> part = values.subspan(at, std::min(piece, values.size() - at));
    floats.assign(part.size(), 0);
    std::transform(part.begin(), part.end(), floats.begin(), [](T x) { return static_cast<float>(x); });
    file.write(tensor, at * sizeof(float), std::as_bytes(std::span(floats)));
  }
}

void add_forced(gguf::Writer& file, const std::vector<ForcedExpert>& forced) {
  if (forced.empty()) return;
  std::vector<std::string> tensors;
  std::vector<std::uint32_t> experts, tokens;
  for (const ForcedExpert& f : forced) {
    tensors.push_back(f.tensor);
    experts.push_back(static_cast<std::uint32_t>(f.expert));
    tokens.push_back(static_cast<std::uint32_t>(f.tokens));
  }
  file.add_texts("coterie.imatrix.forced.tensors", tensors);
  file.add_array<std::uint32_t>("coterie.imatrix.forced.experts", experts);
  file.add_array<std::uint32_t>("coterie.imatrix.forced.tokens", tokens);
}

}  // namespace

void write_importance(const std::string& path, const ImportanceHeader& header,
                      std::span<const ImportanceSums> sums) {
  gguf::Writer file(path);
  file.add_text("general.type", "imatrix");
  file.add_texts("imatrix.datasets", header.datasets);
  file.add<std::uint32_t>("imatrix.chunk_count", static_cast<std::uint32_t>(header.chunk_count));
  file.add<std::uint32_t>("imatrix.chunk_size", static_cast<std::uint32_t>(header.chunk_size));
  add_forced(file, header.forced);
  const FormatInfo& f32 = *find_format("F32");
  std::vector<std::array<int, 2>> ids;
  for (const ImportanceSums& s : sums) {
    const auto n_counts = static_cast<std::int64_t>(s.counts.size());
    const std::array sums_shape{static_cast<std::int64_t>(s.sums.size()) / n_counts, n_counts};
    const std::array counts_shape{std::int64_t{1}, n_counts};
    const std::size_t dims = n_counts == 1 ? 1 : 2;  // trailing ones are left out there, so here too
    ids.push_back(
        {file.add_tensor(s.tensor + std::string(sums_suffix), std::span(sums_shape).first(dims), f32),
         file.add_tensor(s.tensor + std::string(counts_suffix), std::span(counts_shape).first(dims), f32)});
  }
  file.begin_data();
  for (std::size_t i = 0; i < sums.size(); ++i) {
    write_floats(file, ids[i][0], sums[i].sums);
    write_floats(file, ids[i][1], sums[i].counts);
  }
  file.commit();
}

}  // namespace coterie::quantize
