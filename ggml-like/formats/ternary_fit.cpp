// The exact search behind ternary_fit.h.
//
// For a given d the codes that are not zero belong to the weights of magnitude above d / 2: for some k, to the k
// largest. Their best d is sum(i |w|) / sum(i) over those k, i their importance, and the error falls by
// sum(i |w|)^2 / sum(i). All k are tried.
#include "formats/ternary_fit.h"

#include "formats/importance.h"

#include <algorithm>
#include <cmath>

namespace coterie {

namespace {

struct Weight {
  std::uint32_t bits;  // of its magnitude: ordered like the number
  float share;         // of the importance
};

// Largest first, equal ones in their order: a counting sort by each byte that is not the same everywhere. Weights that
// were BF16 have two such bytes; a sort by comparisons takes four times as long.
void sort_by_magnitude(Weight (&weights)[256]) {
  Weight sorted[256];
  for (int shift = 0; shift < 32; shift += 8) {
    const auto digit = [shift](const Weight& w) { return 255 - (w.bits >> shift & 255); };
    int place[257] = {};
    for (const Weight& w : weights) ++place[digit(w) + 1];
    if (place[digit(weights[0]) + 1] == 256) continue;
    for (int i = 0; i < 256; ++i) place[i + 1] += place[i];
    for (const Weight& w : weights) sorted[place[digit(w)]++] = w;
    std::copy_n(sorted, 256, weights);
  }
}

}  // namespace

Half fit_ternary(const float* w, const float* importance, std::uint8_t* codes) {
  std::fill_n(codes, 256, std::uint8_t{1});
  if (!within_reach(w, 256)) return {0x7e00};
  float share[256];
  normalise_importance(importance, 256, share);
  Weight sorted[256];
  for (int i = 0; i < 256; ++i) sorted[i] = {bits_of(std::fabs(w[i])), share[i]};
  sort_by_magnitude(sorted);
  float sum_w = 0, sum_1 = 0, best = 0, d = 0;
  for (const auto& [bits, weight] : sorted) {
    sum_w += weight * float_of(bits);
    sum_1 += weight;
    if (!(sum_w > 0 && sum_w * (sum_w / sum_1) > best)) continue;
    best = sum_w * (sum_w / sum_1);
    d = sum_w / sum_1;
  }
  const Half scale{float_to_half(d)};
  for (int i = 0; i < 256; ++i)
    if (std::fabs(w[i]) > 0.5F * scale) codes[i] = w[i] > 0 ? 2 : 0;
  return scale;
}

}  // namespace coterie
