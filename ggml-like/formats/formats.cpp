// The formats as a table, generated from the list.
#include "formats/formats.h"

#include "formats/encoders.h"

#include <array>
#include <cctype>
#include <cstring>
#include <type_traits>

namespace coterie {

namespace {

// Blocks are copied out before use, so that nothing is asked of the alignment of file bytes.
template <class T>
T load(const std::byte* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

template <class F>
void decode_row(const std::byte* blocks, std::int64_t n, float* w) {
  for (std::int64_t i = 0; i < n; i += F::block_size, blocks += sizeof(typename F::Block))
    F::decode(load<typename F::Block>(blocks), w + i);
}

template <class F>
bool legal_row(const std::byte* blocks, std::int64_t n) {
  for (std::int64_t i = 0; i < n; i += F::block_size, blocks += sizeof(typename F::Block))
    if (!F::legal(load<typename F::Block>(blocks))) return false;
  return true;
}

template <class Activation>
constexpr ActivationKind kind_of = std::is_same_v<Activation, Act256>  ? ActivationKind::act256
                                   : std::is_same_v<Activation, Act32> ? ActivationKind::act32
                                                                       : ActivationKind::f32;

template <class F>
constexpr FormatInfo weight_format(int index) {
  FormatInfo info{F::name,       F::gguf_id,
                  F::block_size, sizeof(typename F::Block),
                  index,         kind_of<typename F::Activation>,
                  decode_row<F>, legal_row<F>,
                  nullptr};
  if constexpr (Encodable<F>) info.encode = encode_row<F, Generic>;
  return info;
}

// A type that tensors may have but that no weight is multiplied in: read as float, value by value.
template <class T>
struct PlainType {
  struct Block {
    T value;
  };
  static constexpr int block_size = 1;
  static void decode(const Block& b, float* w) { *w = static_cast<float>(b.value); }
  static bool legal(const Block& b) {
    if constexpr (std::is_floating_point_v<T>) return b.value - b.value == 0;  // neither infinite nor NaN
    return true;
  }
};

template <class T>
constexpr FormatInfo plain_type(const char* name, std::uint32_t gguf_id) {
  using P = PlainType<T>;
  return {name, gguf_id, 1, sizeof(T), -1, ActivationKind::none, decode_row<P>, legal_row<P>, nullptr};
}

constexpr int n_plain = 5;

constexpr std::array<FormatInfo, Formats::size + n_plain> make_table() {
  std::array<FormatInfo, Formats::size + n_plain> table{};
  Formats::for_each([&](auto type, int index) {
    table[static_cast<std::size_t>(index)] = weight_format<typename decltype(type)::type>(index);
  });
  const FormatInfo plain[n_plain] = {plain_type<double>("F64", 28), plain_type<std::int8_t>("I8", 24),
                                     plain_type<std::int16_t>("I16", 25), plain_type<std::int32_t>("I32", 26),
                                     plain_type<std::int64_t>("I64", 27)};
  for (std::size_t i = 0; i < n_plain; ++i) table[Formats::size + i] = plain[i];
  return table;
}

constexpr auto table = make_table();

bool same_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (std::tolower(static_cast<unsigned char>(a[i])) != std::tolower(static_cast<unsigned char>(b[i])))
      return false;
  return true;
}

}  // namespace

std::span<const FormatInfo> all_formats() { return table; }

const FormatInfo* find_format(std::uint32_t gguf_id) {
  for (const FormatInfo& f : table)
    if (f.gguf_id == gguf_id) return &f;
  return nullptr;
}

const FormatInfo* find_format(std::string_view name) {
  for (const FormatInfo& f : table)
    if (same_ignoring_case(f.name, name)) return &f;
  return nullptr;
}

}  // namespace coterie
