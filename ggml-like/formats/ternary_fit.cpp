// The exact search behind ternary_fit.h.
//
// For a given d the codes that are not zero belong to the weights of magnitude above d / 2: for some k, to the k
// largest. Their best d is sum(i |w|) / sum(i) over those k, i their importance, and the error falls by
// sum(i |w|)^2 / sum(i). All k are tried.
#include "formats/ternary_fit.h"

#include "formats/importance.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace coterie {

Half fit_ternary(const float* w, const float* importance, std::uint8_t* codes) {
  std::fill_n(codes, 256, std::uint8_t{1});
  if (!within_reach(w, 256)) return {0x7e00};
  float share[256];
  normalise_importance(importance, 256, share);
  std::pair<float, float> sorted[256];  // magnitude, importance
  for (int i = 0; i < 256; ++i) sorted[i] = {std::fabs(w[i]), share[i]};
  std::sort(sorted, sorted + 256, [](const auto& a, const auto& b) { return a > b; });
  float sum_w = 0, sum_1 = 0, best = 0, d = 0;
  for (const auto& [magnitude, weight] : sorted) {
    sum_w += weight * magnitude;
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
