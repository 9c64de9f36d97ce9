// Any bytes as a GGUF file: refused with an error, or readable to the last value and block.
//
// A mutator that knows no layout dies at the first length field. This one walks the file as far as it makes
// sense and changes one to three of the fields found: counts, lengths, types, dimensions, offsets.
#include "base/errors.h"
#include "gguf/reader.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

using namespace coterie;

// libFuzzer's own mutator. Weak: a build that only replays the corpus has none and never calls it.
extern "C" __attribute__((weak)) std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size,
                                                              std::size_t max_size);

namespace {

void read_value(const gguf::Reader& file, std::string_view key) {
  try {
    file.text(key);
  } catch (const ModelError&) {
  }
  try {
    file.integer(key, -1000, 1000);
  } catch (const ModelError&) {
  }
  try {
    file.number(key);
  } catch (const ModelError&) {
  }
  try {
    file.strings(key);
  } catch (const ModelError&) {
  }
  try {
    file.integers(key);
  } catch (const ModelError&) {
  }
  try {
    file.numbers(key);
  } catch (const ModelError&) {
  }
}

void read_tensor(const gguf::TensorInfo& t) {
  std::vector<float> row(static_cast<std::size_t>(t.shape[0]));
  for (std::int64_t r = 0; r < t.rows(); ++r) {
    const std::byte* blocks = t.data + r * t.row_bytes();
    t.format->legal(blocks, t.shape[0]);
    t.format->decode(blocks, t.shape[0], row.data());
  }
}

// A place of the file that holds one number.
struct Field {
  std::size_t at, size;
};

class Layout {
 public:
  Layout(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {
    number(4);  // magic
    number(4);  // version
    const std::uint64_t n_tensors = number(8), n_keys = number(8);
    for (std::uint64_t i = 0; i < n_keys && more(); ++i) key();
    for (std::uint64_t i = 0; i < n_tensors && more(); ++i) tensor();
  }
  std::vector<Field> fields;

 private:
  bool more() const { return at_ < size_ && fields.size() < 4096; }

  std::uint64_t number(std::size_t n) {
    std::uint64_t value = 0;
    if (size_ - at_ < n) {
      at_ = size_;
      return 0;
    }
    std::memcpy(&value, data_ + at_, n);
    fields.push_back({at_, n});
    at_ += n;
    return value;
  }
  void text() {
    const std::uint64_t n = number(8);
    at_ = n > size_ - at_ ? size_ : at_ + n;
  }
  void value(std::uint64_t type) {
    constexpr std::array<std::size_t, 13> sizes{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    if (type == 8) text();
    if (type < sizes.size() && sizes[type] != 0) number(sizes[type]);
  }
  void key() {
    text();
    const std::uint64_t type = number(4);
    if (type != 9) return value(type);
    const std::uint64_t element = number(4), n = number(8);
    const bool known = element < 13 && element != 9;  // any other leaves nothing to walk over, n times
    for (std::uint64_t i = 0; known && i < n && more(); ++i) value(element);
  }
  void tensor() {
    text();
    const std::uint64_t dims = number(4);
    for (std::uint64_t d = 0; d < dims && d < 8 && more(); ++d) number(8);
    number(4);  // type
    number(8);  // offset
  }

  const std::uint8_t* data_;
  std::size_t size_;
  std::size_t at_ = 0;
};

std::uint64_t mutated(std::uint64_t value, std::uint64_t file_bytes, std::mt19937_64& random) {
  const std::array<std::uint64_t, 14> telling{0,
                                              1,
                                              9,
                                              32,
                                              255,
                                              65'536,
                                              0x7fffffff,
                                              0x80000000,
                                              0xffffffff,
                                              std::uint64_t{1} << 60,
                                              std::uint64_t{1} << 63,
                                              ~std::uint64_t{0},
                                              file_bytes,
                                              ~std::uint64_t{31}};
  switch (random() % 5) {
    case 0:
      return telling[random() % telling.size()];
    case 1:
      return value + 1;
    case 2:
      return value - 1;
    case 3:
      return random() % 64;
    default:
      return value ^ (std::uint64_t{1} << random() % 64);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const gguf::Reader file(std::as_bytes(std::span(data, size)), "fuzz.gguf");
    for (const auto& [key, value] : file.keys()) read_value(file, key);
    for (const gguf::TensorInfo& t : file.tensors()) read_tensor(t);
  } catch (const FileError&) {
  }
  return 0;
}

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned int seed) {
  std::mt19937_64 random(seed);
  const Layout layout(data, size);
  if (layout.fields.empty() || random() % 8 == 0) return LLVMFuzzerMutate(data, size, max_size);
  for (std::uint64_t n = 1 + random() % 3; n > 0; --n) {
    const Field f = layout.fields[random() % layout.fields.size()];
    std::uint64_t value = 0;
    std::memcpy(&value, data + f.at, f.size);
    value = mutated(value, size, random);
    std::memcpy(data + f.at, &value, f.size);
  }
  return size;
}
