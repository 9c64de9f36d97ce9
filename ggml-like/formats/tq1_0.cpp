// TQ1_0: the encoder.
#include "formats/tq1_0.h"

#include "formats/ternary_fit.h"

namespace coterie {

// bytes[j] = digits codes[n_bytes * k + j], the first k the highest of five, as the next larger fraction of 256.
static void pack_digits(const std::uint8_t* codes, int n_bytes, int n_digits, std::uint8_t* bytes) {
  for (int j = 0; j < n_bytes; ++j) {
    int value = 0;
    for (int k = 0; k < 5; ++k) value = 3 * value + (k < n_digits ? codes[n_bytes * k + j] : 0);
    bytes[j] = static_cast<std::uint8_t>((value * 256 + 242) / 243);
  }
}

void TQ1_0::encode(const float* w, const float* importance, Block& b) {
  std::uint8_t codes[256];
  b.scale = fit_ternary(w, importance, codes);
  pack_digits(codes, 32, 5, b.digits);
  pack_digits(codes + 160, 16, 5, b.digits + 32);
  pack_digits(codes + 240, 4, 4, b.digits + 48);
}

}  // namespace coterie
