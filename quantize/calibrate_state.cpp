#include "quantize/calibrate_state.h"

#include "base/errors.h"
#include "base/mapping.h"
#include "base/output_file.h"
#include "gguf/part.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <memory>
#include <span>
#include <type_traits>

namespace coterie::quantize {

namespace {

constexpr std::uint64_t magic = 0x3174617473626c63;  // "clbstat1"
constexpr std::size_t hash_bytes = sizeof(XXH128_canonical_t);

class Sink {
 public:
  explicit Sink(const std::string& path) : file_(path) { XXH3_128bits_reset(&hash_); }

  template <class T>
  void put(std::span<const T> values) {
    static_assert(std::is_trivially_copyable_v<T>);
    const std::span<const std::byte> bytes = std::as_bytes(values);
    XXH3_128bits_update(&hash_, bytes.data(), bytes.size());
    file_.write_at(at_, bytes);
    at_ += bytes.size();
  }
  template <class T>
  void put(const T& value) {
    put(std::span(&value, 1));
  }
  void commit() {
    XXH128_canonical_t hash;
    XXH128_canonicalFromHash(&hash, XXH3_128bits_digest(&hash_));
    file_.write_at(at_, std::as_bytes(std::span(&hash, 1)));
    file_.commit();
  }

 private:
  OutputFile file_;
  XXH3_state_t hash_;
  std::uint64_t at_ = 0;
};

class Source {
 public:
  explicit Source(const std::string& path) : path_(path), file_(path), cursor_(file_.bytes(), path_) {
    const std::span<const std::byte> all = file_.bytes();
    if (all.size() < hash_bytes) damaged();
    const std::span<const std::byte> body = all.first(all.size() - hash_bytes);
    XXH128_canonical_t hash;
    std::memcpy(&hash, all.data() + body.size(), sizeof hash);
    if (XXH128_isEqual(XXH3_128bits(body.data(), body.size()), XXH128_hashFromCanonical(&hash)) == 0) damaged();
  }

  template <class T>
  void get(std::span<T> values) {
    const std::span<const std::byte> bytes = cursor_.take(values.size_bytes(), "state");
    std::memcpy(values.data(), bytes.data(), bytes.size());
  }
  template <class T>
  T get() {
    T value;
    get(std::span(&value, 1));
    return value;
  }
  std::uint64_t count(std::uint64_t most) {
    const auto n = get<std::uint64_t>();
    if (n > most) damaged();
    return n;
  }
  [[noreturn]] void damaged() const {
    throw FileError(path_ + ": found a damaged state of a calibration; --restart begins anew");
  }

 private:
  std::string path_;
  MappedFile file_;
  gguf::Cursor cursor_;
};

void put_layer(Sink& out, const RoutedSums& layer, const TensorSums* first) {
  for (const TensorSums* stack : layer.stacks) out.put(static_cast<std::uint64_t>(stack - first));
  out.put<std::uint64_t>(layer.experts.size());
  for (const RoutedSums::Expert& e : layer.experts) {
    out.put(e.forced);
    out.put<std::uint64_t>(e.candidates.size());
    for (const RoutedSums::Candidate& c : e.candidates) {
      out.put(c.affinity);
      out.put(c.token);
    }
  }
}

RoutedSums get_layer(Source& in, std::vector<TensorSums>& tensors) {
  constexpr std::uint64_t most = 1 << 20;
  RoutedSums layer{};
  for (TensorSums*& stack : layer.stacks) stack = &tensors[in.count(tensors.size() - 1)];
  layer.experts.resize(in.count(layer.stacks[0]->counts.size()));
  for (RoutedSums::Expert& e : layer.experts) {
    e.forced = in.get<std::int64_t>();
    e.candidates.resize(in.count(most));
    for (RoutedSums::Candidate& c : e.candidates) {
      c.affinity = in.get<float>();
      c.token = in.get<std::int64_t>();
    }
  }
  for (TensorSums* stack : layer.stacks) stack->by_expert = true;
  return layer;
}

}  // namespace

void save_state(const std::string& path, const Fingerprint& fingerprint, const Done& done,
                Collector& collector) {
  Sink out(path);
  out.put(magic);
  out.put(fingerprint);
  out.put(done);
  const std::vector<TensorSums>& tensors = collector.tensors();
  out.put(static_cast<std::uint64_t>(
      std::count_if(tensors.begin(), tensors.end(), [](const TensorSums& t) { return t.seen(); })));
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (!tensors[i].seen()) continue;
    out.put<std::uint64_t>(i);
    out.put(std::span<const std::int64_t>(tensors[i].counts));
    out.put(std::span<const double>(tensors[i].sums.span()));
  }
  out.put<std::uint64_t>(collector.layers().size());
  for (const RoutedSums& layer : collector.layers()) put_layer(out, layer, tensors.data());
  out.commit();
}

Done load_state(const std::string& path, const Fingerprint& fingerprint, Collector& collector) {
  if (!std::filesystem::exists(path)) return {};
  Source in(path);
  if (in.get<std::uint64_t>() != magic) in.damaged();
  if (in.get<Fingerprint>() != fingerprint)
    throw UsageError(path + ": found the state of a calibration with another model, text or options; --restart "
                            "begins anew");
  const auto done = in.get<Done>();
  std::vector<TensorSums>& tensors = collector.tensors();
  for (std::uint64_t left = in.count(tensors.size()); left > 0; --left) {
    TensorSums& t = tensors[in.count(tensors.size() - 1)];
    in.get(std::span(t.counts));
    in.get(t.sums.span());
  }
  for (std::uint64_t left = in.count(tensors.size()); left > 0; --left)
    collector.layers().push_back(get_layer(in, tensors));
  return done;
}

}  // namespace coterie::quantize
