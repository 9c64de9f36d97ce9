// IQ4_NL: the levels and packing.
#include "formats/iq4_nl.h"

#include <array>

namespace coterie {

// From the Python package gguf, quants.py (kvalues of IQ4_NL).
constexpr std::int8_t iq4_levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                        1,    13,   25,  38,  53,  69,  89,  113};

namespace {

// The code of a level, by level + 128.
constexpr auto codes = [] {
  std::array<std::uint8_t, 256> of_level{};
  for (std::size_t i = 0; i < 16; ++i)
    of_level[static_cast<std::size_t>(iq4_levels[i] + 128)] = static_cast<std::uint8_t>(i);
  return of_level;
}();

}  // namespace

void pack_iq4_codes(const std::int8_t* levels, std::uint8_t* nibbles) {
  const auto code = [&](int i) { return codes[static_cast<std::size_t>(levels[i] + 128)]; };
  for (int j = 0; j < 16; ++j) nibbles[j] = static_cast<std::uint8_t>(code(j) | code(j + 16) << 4);
}

void IQ4_NL::pack(const Integers& u, Block& b) {
  b.scale.bits = float_to_half(u.d);
  pack_iq4_codes(u.q, b.nibbles);
}

}  // namespace coterie
