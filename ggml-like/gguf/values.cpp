#include "gguf/values.h"

#include <array>
#include <cstring>

namespace coterie::gguf {

namespace {

enum class Kind { sign, no_sign, floating, other };

struct Facts {
  const char* name;
  std::uint64_t bytes;
  Kind kind;
};

constexpr std::array<Facts, 13> facts{{{"UINT8", 1, Kind::no_sign},
                                       {"INT8", 1, Kind::sign},
                                       {"UINT16", 2, Kind::no_sign},
                                       {"INT16", 2, Kind::sign},
                                       {"UINT32", 4, Kind::no_sign},
                                       {"INT32", 4, Kind::sign},
                                       {"FLOAT32", 4, Kind::floating},
                                       {"BOOL", 1, Kind::other},
                                       {"STRING", 0, Kind::other},
                                       {"ARRAY", 0, Kind::other},
                                       {"UINT64", 8, Kind::no_sign},
                                       {"INT64", 8, Kind::sign},
                                       {"FLOAT64", 8, Kind::floating}}};

const Facts& facts_of(ValueType type) { return facts.at(static_cast<std::size_t>(type)); }

}  // namespace

bool known_value_type(ValueType type) { return static_cast<std::size_t>(type) < facts.size(); }
const char* value_type_name(ValueType type) { return facts_of(type).name; }
std::uint64_t value_bytes(ValueType type) { return facts_of(type).bytes; }

bool is_integer(ValueType type) {
  return facts_of(type).kind == Kind::sign || facts_of(type).kind == Kind::no_sign;
}

std::optional<std::int64_t> widen_integer(ValueType type, const std::byte* bytes) {
  const Facts& f = facts_of(type);
  std::uint64_t raw = 0;
  std::memcpy(&raw, bytes, f.bytes);
  if (f.kind == Kind::sign) {
    const int unused = static_cast<int>(64 - 8 * f.bytes);
    return static_cast<std::int64_t>(raw << unused) >> unused;
  }
  if (raw > static_cast<std::uint64_t>(INT64_MAX)) return std::nullopt;
  return static_cast<std::int64_t>(raw);
}

double widen_float(ValueType type, const std::byte* bytes) {
  if (type == ValueType::float64) {
    double d = 0;
    std::memcpy(&d, bytes, sizeof d);
    return d;
  }
  float f = 0;
  std::memcpy(&f, bytes, sizeof f);
  return f;
}

}  // namespace coterie::gguf
