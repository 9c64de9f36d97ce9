#include "quantize/fallback.h"

#include <string_view>

namespace coterie::quantize {

namespace {

struct Fallback {
  std::string_view wanted;
  std::string_view instead;
};

constexpr Fallback fallbacks[] = {{"Q2_K", "Q4_0"}, {"Q3_K", "Q4_0"},  {"Q4_K", "Q5_0"}, {"Q5_K", "Q5_1"},
                                  {"Q6_K", "Q8_0"}, {"TQ1_0", "Q4_0"}, {"TQ2_0", "Q4_0"}};

}  // namespace

const FormatInfo& format_for_rows(const FormatInfo& wanted, std::int64_t n) {
  if (n % wanted.block_size == 0) return wanted;
  if (n % 32 != 0) return *find_format("F16");
  for (const Fallback& f : fallbacks)
    if (f.wanted == wanted.name) return *find_format(f.instead);
  return *find_format("IQ4_NL");
}

}  // namespace coterie::quantize
