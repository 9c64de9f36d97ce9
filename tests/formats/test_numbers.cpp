// tests/formats/test_numbers.cpp: the small floats, all codes of each, and rounding to them.
#include "base/fp8.h"
#include "base/half.h"
#include "convert/safetensors.h"
#include "tests/formats/support.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <vector>

namespace coterie::test {

namespace {

template <class T>
std::vector<T> numbers(const convert::SafeTensors& file, const char* name) {
  const convert::SafeTensor& t = file.get(name);
  std::vector<T> values(t.bytes.size() / sizeof(T));
  std::memcpy(values.data(), t.bytes.data(), t.bytes.size());
  return values;
}

// By the definition: sign, exponent, fraction; all exponent bits set are infinity or NaN where the format has
// them.
float by_definition(unsigned bits, int exponent_bits, int fraction_bits) {
  const unsigned fraction = bits & ((1U << fraction_bits) - 1);
  const unsigned exponent = bits >> fraction_bits & ((1U << exponent_bits) - 1);
  const bool negative = (bits >> (fraction_bits + exponent_bits)) != 0;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const double unit = std::ldexp(1.0, 1 - bias - fraction_bits);
  const double value =
      exponent == 0 ? fraction * unit
                    : std::ldexp((fraction + (1U << fraction_bits)) * unit, static_cast<int>(exponent) - 1);
  return static_cast<float>(negative ? -value : value);
}

}  // namespace

TEST_CASE("all e4m3 and e5m2 codes widen to the golden bits") {
  if (!have_golden("numbers/numbers.safetensors")) return;
  const convert::SafeTensors file(golden("numbers/numbers.safetensors"));
  const auto e4m3 = numbers<std::uint32_t>(file, "e4m3fn_to_f32");
  const auto e5m2 = numbers<std::uint32_t>(file, "e5m2_to_f32");
  for (unsigned code = 0; code < 256; ++code) {
    INFO(code);
    CHECK(bits_of(e4m3_to_float(static_cast<std::uint8_t>(code))) == e4m3[code]);
    CHECK(bits_of(e5m2_to_float(static_cast<std::uint8_t>(code))) == e5m2[code]);
    if ((code & 0x7f) != 0x7f)
      CHECK(bits_of(e4m3_to_float(static_cast<std::uint8_t>(code))) == bits_of(by_definition(code, 4, 3)));
  }
  CHECK(e4m3_magnitude(0xff) == 480.0F);
}

TEST_CASE("all halves and bfloat16s widen as defined and narrow back to themselves") {
  for (unsigned code = 0; code < 65536; ++code) {
    const auto bits = static_cast<std::uint16_t>(code);
    const float half = half_to_float(bits), bf16 = bf16_to_float(bits);
    bool right = true;
    if ((code & 0x7c00) == 0x7c00) {
      right = (code & 0x3ff) != 0 ? std::isnan(half) && std::isnan(half_to_float(float_to_half(half)))
                                  : std::isinf(half) && std::signbit(half) == (code >> 15 != 0);
    } else {
      right = bits_of(half) == bits_of(by_definition(code, 5, 10)) && float_to_half(half) == bits;
    }
    right = right && bits_of(bf16) == code << 16;
    right = right &&
            (std::isnan(bf16) ? std::isnan(bf16_to_float(float_to_bf16(bf16))) : float_to_bf16(bf16) == bits);
    if (!right) FAIL_CHECK("code ", code);
  }
}

TEST_CASE("floats round to half and bfloat16 as the golden ones do") {
  if (!have_golden("numbers/numbers.safetensors")) return;
  const convert::SafeTensors file(golden("numbers/numbers.safetensors"));
  const auto in = numbers<std::uint32_t>(file, "round_in");
  const auto f16 = numbers<std::uint16_t>(file, "round_f16");
  const auto bf16 = numbers<std::uint16_t>(file, "round_bf16");
  int truncation_differs = 0;
  for (std::size_t i = 0; i < in.size(); ++i) {
    INFO(in[i]);
    CHECK(float_to_half(float_of(in[i])) == f16[i]);
    CHECK(float_to_bf16(float_of(in[i])) == bf16[i]);
    truncation_differs += in[i] >> 16 != bf16[i] ? 1 : 0;
  }
  CHECK(truncation_differs > 1000);  // the data would notice a conversion that does not round
}

}  // namespace coterie::test
