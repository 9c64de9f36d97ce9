// IQ1_M: shape and packing.
#include "formats/iq1_m.h"

namespace coterie {

constexpr float levels_plus[3] = {-7, 1, 9};
constexpr float levels_minus[3] = {-9, -1, 7};

const CodebookShape IQ1_M::shape = {.books = {make_codebook(iq1_blocks, iq1_grid, levels_plus),
                                              make_codebook(iq1_blocks, iq1_grid, levels_minus)},
                                    .group = 16,
                                    .offset_span = 8,
                                    .n_scales = 8,
                                    .unit = 8,
                                    .even_signs = false,
                                    .least_inverse = 1.5F,
                                    .largest_inverse = 12};

void IQ1_M::pack(const CodebookFit& fit, Block& b) {
  b = {};
  const unsigned scale = float_to_half(fit.d * shape.unit);
  for (int k = 0; k < 32; ++k) {
    b.points_low[k] = static_cast<std::uint8_t>(fit.points[k]);
    b.points_high[k / 2] |=
        static_cast<std::uint8_t>((fit.points[k] >> 8 | fit.books[k] << 3) << (k % 2 * 4));
  }
  for (int i = 0; i < 4; ++i) b.scales[i] = static_cast<std::uint16_t>((scale >> (4 * i) & 15) << 12);
  for (int g = 0; g < 16; ++g) b.scales[g / 4] |= static_cast<std::uint16_t>(fit.scales[g] << (g % 4 * 3));
}

}  // namespace coterie
