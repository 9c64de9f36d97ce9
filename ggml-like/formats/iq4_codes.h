// Levels of IQ4 back to 4-bit codes, for the encoders of IQ4_NL and IQ4_XS.
#pragma once

#include "formats/iq4_nl.h"

#include <algorithm>

namespace coterie {

inline int iq4_code(std::int8_t level) {
  return static_cast<int>(std::lower_bound(iq4_levels, iq4_levels + 16, level) - iq4_levels);
}

// 32 levels to 16 bytes.
inline void pack_iq4_codes(const std::int8_t* levels, std::uint8_t* nibbles) {
  for (int j = 0; j < 16; ++j)
    nibbles[j] = static_cast<std::uint8_t>(iq4_code(levels[j]) | iq4_code(levels[j + 16]) << 4);
}

}  // namespace coterie
