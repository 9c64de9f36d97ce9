#include "quantize/budget.h"

#include "base/errors.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <string_view>

namespace coterie::quantize {

namespace {

struct Unit {
  std::string_view name;
  double bytes;
};
constexpr Unit units[] = {{"", 1},      {"b", 1},        {"kb", 1e3},     {"mb", 1e6},     {"gb", 1e9},
                          {"tb", 1e12}, {"kib", 0x1p10}, {"mib", 0x1p20}, {"gib", 0x1p30}, {"tib", 0x1p40}};

constexpr double most_bytes = 0x1p60;

// The number at the beginning of a text, and what follows it in lower case and without spaces.
struct Amount {
  double number = 0;
  std::string unit;
  bool sound = false;
};

Amount split(const std::string& text) {
  Amount a;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, a.number, std::chars_format::fixed);
  for (const char* c = rest; c != end; ++c)
    if (*c != ' ') a.unit += static_cast<char>(std::tolower(static_cast<unsigned char>(*c)));
  a.sound = error == std::errc() && std::isfinite(a.number) && a.number > 0;
  return a;
}

[[noreturn]] void bad(const std::string& option, const std::string& text, const char* expected) {
  throw UsageError(option + ": found '" + text + "', expected " + expected);
}

}  // namespace

std::uint64_t parse_budget(const std::string& option, const std::string& text, std::uint64_t input_bytes) {
  const Amount a = split(text);
  double unit = a.unit == "x" ? static_cast<double>(input_bytes) : 0;
  for (const Unit& u : units)
    if (a.unit == u.name) unit = u.bytes;
  if (!a.sound || unit == 0 || a.number * unit > most_bytes)
    bad(option, text, "a size like 192GB, 180GiB, 5000000 (bytes) or 0.75x (of the input)");
  return static_cast<std::uint64_t>(a.number * unit);
}

std::uint64_t parse_bits(const std::string& option, const std::string& text, std::int64_t weights) {
  const Amount a = split(text);
  if (!a.sound || !a.unit.empty() || a.number > 64) bad(option, text, "bits per weight, like 2.7");
  return static_cast<std::uint64_t>(a.number * static_cast<double>(weights) / 8);
}

}  // namespace coterie::quantize
