// The search behind fit.h: lines through codes, then integers for the super-block.
#include "formats/fit.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace coterie {

namespace {

constexpr float no_number = std::numeric_limits<float>::quiet_NaN();
constexpr float least_magnitude = 0x1p-60F;  // below any half; keeps reciprocals finite

float round_to_half(float f) { return half_to_float(float_to_half(f)); }

// NaN, which an overflow in a search may lead to, becomes low.
int round_within(float v, int low, int high) {
  if (!(v > static_cast<float>(low))) return low;
  return v < static_cast<float>(high) ? static_cast<int>(std::rint(v)) : high;
}

int nearest_code(const IntegerShape& shape, float v) {
  if (shape.levels.empty()) return round_within(v, shape.code_low, shape.code_high);
  std::size_t below = 0;  // levels that are farther away than their upper neighbour
  for (std::size_t i = 0; i + 1 < shape.levels.size(); ++i)
    below += 2 * v > static_cast<float>(shape.levels[i] + shape.levels[i + 1]) ? 1 : 0;
  return shape.levels[below];
}

// weight = scale * code - min
struct Line {
  float scale = 0.0F;
  float min = 0.0F;
};

void choose_codes(const IntegerShape& shape, std::span<const float> x, Line line, std::int8_t* q) {
  const float inverse = std::fabs(line.scale) > least_magnitude ? 1.0F / line.scale : 0.0F;
  for (std::size_t i = 0; i < x.size(); ++i)
    q[i] = static_cast<std::int8_t>(nearest_code(shape, (x[i] + line.min) * inverse));
}

float squared_error(std::span<const float> x, Line line, const std::int8_t* q) {
  float error = 0.0F;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float e = line.scale * static_cast<float>(q[i]) - line.min - x[i];
    error += e * e;
  }
  return error;
}

// The best line for given codes, by least squares; a minimum is never negative, a scale beside a minimum
// neither.
Line least_squares(const IntegerShape& shape, std::span<const float> x, const std::int8_t* q) {
  float n = static_cast<float>(x.size()), sum_q = 0, sum_qq = 0, sum_x = 0, sum_xq = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float code = q[i];
    sum_q += code;
    sum_qq += code * code;
    sum_x += x[i];
    sum_xq += x[i] * code;
  }
  if (shape.has_mins) {
    const float determinant = n * sum_qq - sum_q * sum_q;
    if (determinant > 0) {
      const Line line{(n * sum_xq - sum_q * sum_x) / determinant,
                      (sum_q * sum_xq - sum_qq * sum_x) / determinant};
      if (line.min >= 0 && line.scale >= 0) return line;
    } else if (sum_x <= 0) {
      return {0.0F, -sum_x / n};  // all codes are equal
    }
  }
  return {sum_qq > 0 ? sum_xq / sum_qq : 0.0F, 0.0F};
}

// Keeps the better of best and the line that codes chosen by `start` lead to.
struct Search {
  const IntegerShape& shape;
  std::span<const float> x;
  Line best;
  float best_error = std::numeric_limits<float>::infinity();

  void consider(Line line) {
    std::int8_t q[256];
    for (int round = 0; round < 2; ++round) {
      choose_codes(shape, x, line, q);
      line = least_squares(shape, x, q);
    }
    choose_codes(shape, x, line, q);
    const float error = squared_error(x, line, q);
    if (!(error < best_error)) return;
    best_error = error;
    best = line;
  }
};

Line fit_with_min(const IntegerShape& shape, std::span<const float> x) {
  const auto [low_at, high_at] = std::minmax_element(x.begin(), x.end());
  const float low = std::min(*low_at, 0.0F);
  const float range = *high_at - low;
  if (range < least_magnitude) return {0.0F, -low};
  Search search{shape, x, {}};
  const float steps = static_cast<float>(shape.code_high);
  for (int k = -10; k <= 10; ++k) search.consider({range / (steps + 0.1F * static_cast<float>(k)), -low});
  return search.best;
}

// The largest magnitude falls near either end of the codes; the ends differ.
Line fit_scale(const IntegerShape& shape, std::span<const float> x) {
  const float extreme =
      *std::max_element(x.begin(), x.end(), [](float a, float b) { return std::fabs(a) < std::fabs(b); });
  if (std::fabs(extreme) < least_magnitude) return {};
  Search search{shape, x, {}};
  for (const int end : {shape.code_low, shape.code_high})
    for (int k = -9; k <= 9; ++k) {
      const float step = shape.levels.empty() ? 0.1F : 1.0F;
      const float target = static_cast<float>(end) + step * static_cast<float>(k);
      search.consider({extreme / target, 0.0F});
    }
  return search.best;
}

Line fit_group(const IntegerShape& shape, std::span<const float> x) {
  return shape.has_mins ? fit_with_min(shape, x) : fit_scale(shape, x);
}

// Numbers, and not so large that sums of their squares overflow: far above what any block can hold.
bool within_reach(const float* x, int n) {
  return std::all_of(x, x + n, [](float f) { return std::fabs(f) < 0x1p40F; });
}

// A super-block under construction: integers and the two super scales.
class SuperBlock {
 public:
  SuperBlock(const IntegerShape& shape, const float* x, Integers256& u) : shape_(shape), x_(x), u_(u) {}

  // Super scales that just cover the group scales, and the nearest integers.
  void start(const Line* lines) {
    float scale = 0, min = 0;
    for (int g = 0; g < groups(); ++g) {
      if (std::fabs(lines[g].scale) > std::fabs(scale)) scale = lines[g].scale;
      min = std::max(min, lines[g].min);
    }
    u_.d = round_to_half(scale /
                         static_cast<float>(shape_.scale_low < 0 ? shape_.scale_low : shape_.scale_high));
    u_.dmin = round_to_half(min / static_cast<float>(shape_.scale_high));
    for (int g = 0; g < groups(); ++g) {
      const int s = u_.d != 0 ? round_within(lines[g].scale / u_.d, shape_.scale_low, shape_.scale_high) : 0;
      const int m = u_.dmin != 0 ? round_within(lines[g].min / u_.dmin, 0, shape_.scale_high) : 0;
      set(g, s, m);
      choose_codes(shape_, group(g), line(g), q(g));
    }
  }

  // Every integer scale and minimum one up and one down, with the codes that go with it.
  void try_neighbours(int g) {
    const int s0 = scale_of(g), m0 = min_of(g);
    int best_s = s0, best_m = m0;
    float best = squared_error(group(g), line(g), q(g));
    for (int s = std::max(s0 - 1, shape_.scale_low); s <= std::min(s0 + 1, shape_.scale_high); ++s)
      for (int m = std::max(m0 - 1, 0); m <= std::min(m0 + 1, shape_.has_mins ? shape_.scale_high : 0); ++m) {
        std::int8_t codes[256];
        set(g, s, m);
        choose_codes(shape_, group(g), line(g), codes);
        const float error = squared_error(group(g), line(g), codes);
        if (!(error < best)) continue;
        best = error;
        best_s = s;
        best_m = m;
        std::copy_n(codes, shape_.group, q(g));
      }
    set(g, best_s, best_m);
  }

  // d and dmin by least squares over all weights, then codes again; undone when it does not help.
  bool refit() {
    float aa = 0, ab = 0, bb = 0, ax = 0, bx = 0;
    for (int i = 0; i < 256; ++i) {
      const int scale = u_.scales[i / 16], min = u_.mins[i / 16];
      const float a = static_cast<float>(scale * u_.q[i]);
      const float b = static_cast<float>(-min);  // zero without minima
      aa += a * a;
      ab += a * b;
      bb += b * b;
      ax += a * x_[i];
      bx += b * x_[i];
    }
    const float determinant = aa * bb - ab * ab;
    const Integers256 before = u_;
    const float error_before = total_error();
    if (determinant > 0) {
      u_.d = round_to_half((ax * bb - bx * ab) / determinant);
      u_.dmin = round_to_half((aa * bx - ab * ax) / determinant);
    } else if (aa > 0) {
      u_.d = round_to_half((ax - ab * u_.dmin) / aa);
    }
    for (int g = 0; g < groups(); ++g) choose_codes(shape_, group(g), line(g), q(g));
    if (total_error() < error_before) return true;
    u_ = before;
    return false;
  }

  int groups() const { return 256 / shape_.group; }

 private:
  std::span<const float> group(int g) const {
    return {x_ + g * shape_.group, static_cast<std::size_t>(shape_.group)};
  }
  std::int8_t* q(int g) { return u_.q + g * shape_.group; }
  int scale_of(int g) const { return u_.scales[g * shape_.group / 16]; }
  int min_of(int g) const { return u_.mins[g * shape_.group / 16]; }
  Line line(int g) const {
    return {u_.d * static_cast<float>(scale_of(g)), u_.dmin * static_cast<float>(min_of(g))};
  }
  void set(int g, int scale, int min) {
    for (int k = g * shape_.group / 16; k < (g + 1) * shape_.group / 16; ++k) {
      u_.scales[k] = static_cast<std::int8_t>(scale);
      u_.mins[k] = static_cast<std::int8_t>(min);
    }
  }
  float total_error() {
    float error = 0;
    for (int g = 0; g < groups(); ++g) error += squared_error(group(g), line(g), q(g));
    return error;
  }

  const IntegerShape& shape_;
  const float* x_;
  Integers256& u_;
};

}  // namespace

void fit_super_block(const IntegerShape& shape, const float* x, Integers256& u) {
  u = {};
  if (!within_reach(x, 256)) {
    u.d = no_number;
    return;
  }
  SuperBlock block(shape, x, u);
  Line lines[16];
  for (int g = 0; g < block.groups(); ++g)
    lines[g] = fit_group(shape, {x + g * shape.group, static_cast<std::size_t>(shape.group)});
  block.start(lines);
  for (int round = 0; round < 3; ++round) {
    for (int g = 0; g < block.groups(); ++g) block.try_neighbours(g);
    if (!block.refit()) break;
  }
}

void fit_block(const IntegerShape& shape, const float* x, Integers32& u) {
  u = {};
  u.d = within_reach(x, 32) ? round_to_half(fit_scale(shape, {x, 32}).scale) : no_number;
  if (is_finite(u.d)) choose_codes(shape, {x, 32}, {u.d, 0.0F}, u.q);
}

}  // namespace coterie
