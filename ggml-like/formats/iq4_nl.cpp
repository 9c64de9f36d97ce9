// IQ4_NL: the levels and packing.
#include "formats/iq4_nl.h"

#include "formats/iq4_codes.h"

namespace coterie {

// From the Python package gguf, quants.py (kvalues of IQ4_NL).
const std::int8_t iq4_levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

void IQ4_NL::pack(const Integers& u, Block& b) {
  b.scale.bits = float_to_half(u.d);
  pack_iq4_codes(u.q, b.nibbles);
}

}  // namespace coterie
