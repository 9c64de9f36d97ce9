// Finding the integers of a block: what the searching encoders share. The objective is the sum of importance times
// squared error, or of squared errors alone.
//
// Per group the best line (fit_lines.h); then, over the super-block, the group scales become integers of one
// half-precision scale, each integer is tried one up and one down, and the two super scales are fitted again to all
// 256 weights; what does not lower the error is undone.
#pragma once

#include "formats/encoder.h"
#include "formats/fit_lines.h"

namespace coterie {

COTERIE_INLINE float round_to_half(float f) { return half_to_float(float_to_half(f)); }

// The targets of LineFit::search.
struct Targets {
  float v[48];
  int n = 0;
  COTERIE_INLINE void add(float target) { v[n++] = target; }
};

// Steps of a tenth about the code that the far end falls on, for IQ4 of one level unit. Without minima the largest
// magnitude may fall on either end, and the ends differ.
COTERIE_INLINE Targets targets_of(const IntegerShape& shape, int copies) {
  Targets t;
  if (shape.has_mins)
    for (int k = -10; k <= 10; ++k) t.add(static_cast<float>(shape.code_high) + 0.1F * static_cast<float>(k));
  else
    for (int k = -9; k <= 9; ++k) {
      const float step = (shape.iq4 ? 1.0F : 0.1F) * static_cast<float>(k);
      t.add(static_cast<float>(shape.code_low) + step);
      t.add(static_cast<float>(shape.code_high) + step);
    }
  while (t.n % copies != 0) t.add(t.v[t.n - 1]);
  return t;
}

template <class Isa, bool has_mins, bool iq4>
class SuperBlock {
 public:
  SuperBlock(const IntegerShape& shape, const Sixteen& p) : shape_(shape), p_(p), fit_(shape, p) {}

  void run(Integers256& u) {
    start();
    if (now_.are_numbers()) {
      float error = try_neighbours();
      for (int round = 0; round < 3; ++round) {
        const Supers before = now_;
        if (!refit()) break;
        const float next = try_neighbours();
        if (!(next < error)) {
          now_ = before;
          break;
        }
        error = next;
      }
    }
    finish(u);
  }

 private:
  // The two halves, and the integers of every lane.
  struct Supers {
    float d, dmin;
    LaneValues scale, min;

    COTERIE_INLINE bool are_numbers() const { return is_finite(d) && is_finite(dmin); }
    COTERIE_INLINE LaneValues scales() const { return times(scale, d); }
    COTERIE_INLINE LaneValues mins() const { return times(min, dmin); }
    COTERIE_INLINE static LaneValues times(const LaneValues& integers, float by) {
      LaneValues out;
      for (int l = 0; l < Sixteen::lanes; ++l) out[l] = integers[l] * by;
      return out;
    }
  };

  // Super scales that just cover the group scales, or a little more or less: those whose nearest integers fit best.
  // The last ones are for weights of a few values only, whose scales are to each other as 3 to 4 or 2 to 3.
  void start() {
    LaneLines lines;
    const Targets targets = targets_of(shape_, p_.copies());
    fit_.search(targets.v, targets.n, lines);
    merge(lines.error, lines.scale, lines.min);
    float scale = 0.0F, min = 0.0F;
    for (int g = 0; g < p_.groups; ++g) {
      if (magnitude(lines.scale[g]) > magnitude(scale)) scale = lines.scale[g];
      if (lines.min[g] > min) min = lines.min[g];
    }
    scale /= static_cast<float>(shape_.scale_low < 0 ? shape_.scale_low : shape_.scale_high);
    min /= static_cast<float>(shape_.scale_high);
    Supers best{};
    float least = __builtin_inff();
    for (const float stretch : {1.0F, 0.94F, 0.96F, 0.98F, 1.02F, 1.04F, 1.06F, 1.12F, 1.185F}) {
      const Supers tried =
          with_nearest_integers(lines, round_to_half(scale / stretch), round_to_half(min / stretch));
      if (stretch == 1.0F) best = tried;
      if (!tried.are_numbers()) continue;
      LaneValues error;
      fit_.try_lines(tried.scales(), tried.mins(), error);
      float sum = 0.0F;
      for (int g = 0; g < p_.groups; ++g) sum += error[g];
      if (sum < least) {
        least = sum;
        best = tried;
      }
    }
    now_ = best;
  }

  Supers with_nearest_integers(const LaneLines& lines, float d, float dmin) const {
    Supers s{d, dmin, {}, {}};
    for (int l = 0; l < Sixteen::lanes; ++l) {
      s.scale[l] = d != 0.0F ? integer(lines.scale[l] / d, shape_.scale_low) : 0.0F;
      s.min[l] = dmin != 0.0F ? integer(lines.min[l] / dmin, 0) : 0.0F;
    }
    return s;
  }

  COTERIE_INLINE static float magnitude(float f) { return float_of(bits_of(f) & 0x7fffffffU); }

  // The nearest integer of those the shape has.
  COTERIE_INLINE float integer(float v, int low) const {
    const float least = static_cast<float>(low), most = static_cast<float>(shape_.scale_high);
    v = __builtin_rintf(v);
    v = v > least ? v : least;
    return v < most ? v : most;
  }

  // Every lane takes what the best of its group's lanes has found.
  void merge(LaneValues& error, LaneValues& a, LaneValues& b) const {
    for (int l = p_.groups; l < Sixteen::lanes; ++l) {
      const int first = l % p_.groups;
      if (!(error[l] < error[first])) continue;
      error[first] = error[l];
      a[first] = a[l];
      b[first] = b[l];
    }
    for (int l = p_.groups; l < Sixteen::lanes; ++l) {
      error[l] = error[l % p_.groups];
      a[l] = a[l % p_.groups];
      b[l] = b[l % p_.groups];
    }
  }

  // Every integer scale and minimum as it is, one up and one down. Returns the error of the whole block.
  float try_neighbours() {
    Supers best = now_;
    LaneValues least;
    for (float& e : least.v) e = __builtin_inff();
    const int n = has_mins ? 9 : 3;
    for (int first = 0; first < n; first += p_.copies()) {
      Supers s = now_;
      for (int l = 0; l < Sixteen::lanes; ++l) {
        const int c = first + l / p_.groups < n ? first + l / p_.groups : 0;
        s.scale[l] = integer(s.scale[l] + static_cast<float>((c + 1) % 3 - 1), shape_.scale_low);
        s.min[l] = integer(s.min[l] + static_cast<float>((c / 3 + 1) % 3 - 1), 0);
      }
      LaneValues error;
      fit_.try_lines(s.scales(), s.mins(), error);
      for (int l = 0; l < Sixteen::lanes; ++l)
        if (error[l] < least[l]) {
          least[l] = error[l];
          best.scale[l] = s.scale[l];
          best.min[l] = s.min[l];
        }
    }
    merge(least, best.scale, best.min);
    now_ = best;
    float sum = 0.0F;
    for (int g = 0; g < p_.groups; ++g) sum += least[g];
    return sum;
  }

  // d and dmin by least squares over all weights. False: nothing to fit.
  bool refit() {
    LaneSums t;
    fit_.sums(now_.scales(), now_.mins(), t);
    float aa = 0.0F, ab = 0.0F, bb = 0.0F, ax = 0.0F, bx = 0.0F;
    for (int g = 0; g < p_.groups; ++g) {
      const float s = now_.scale[g], m = now_.min[g];
      aa += s * s * t.qq[g];
      ax += s * t.xq[g];
      if constexpr (has_mins) {
        ab -= s * m * t.q[g];
        bb += m * m * fit_.importance_sums()[g];
        bx -= m * fit_.weighted_sums()[g];
      }
    }
    const float determinant = aa * bb - ab * ab;
    Supers next = now_;
    if (determinant > 0.0F) {
      next.d = round_to_half((ax * bb - bx * ab) / determinant);
      next.dmin = round_to_half((aa * bx - ab * ax) / determinant);
    } else if (aa > 0.0F) {
      next.d = round_to_half((ax - ab * now_.dmin) / aa);
    }
    if (!next.are_numbers() || (next.d == now_.d && next.dmin == now_.dmin)) return false;
    now_ = next;
    return true;
  }

  void finish(Integers256& u) const {
    u.d = now_.d;
    u.dmin = now_.dmin;
    if (!now_.are_numbers()) return;
    alignas(64) float q[32][Sixteen::lanes];
    fit_.codes(now_.scales(), now_.mins(), q);
    for (int g = 0; g < p_.groups; ++g) {
      for (int i = 0; i < p_.group; ++i) u.q[g * p_.group + i] = static_cast<std::int8_t>(q[i][g]);
      for (int k = g * p_.group / 16; k < (g + 1) * p_.group / 16; ++k) {
        u.scales[k] = static_cast<std::int8_t>(now_.scale[g]);
        u.mins[k] = static_cast<std::int8_t>(now_.min[g]);
      }
    }
  }

  const IntegerShape& shape_;
  const Sixteen& p_;
  LineFit<Isa, has_mins, iq4> fit_;
  Supers now_;
};

// Fills u so that its decoded values are near x [256]; d and dmin are representable in half precision.
// Weights that are no numbers, or beyond all reach, give a d that is no number.
template <class Isa, bool has_mins, bool iq4>
void fit_super_block(const IntegerShape& shape, const float* x, const float* importance, Integers256& u) {
  u = {};
  if (!within_reach(x, 256)) {
    u.d = __builtin_nanf("");
    return;
  }
  Sixteen p;
  spread(x, importance, shape.group, 256 / shape.group, p);
  SuperBlock<Isa, has_mins, iq4>(shape, p).run(u);
}

// The same for one block of 32, whose scale and minimum are halves by themselves.
template <class Isa, bool has_mins, bool iq4>
void fit_block(const IntegerShape& shape, const float* x, const float* importance, Integers32& u) {
  u = {};
  if (!within_reach(x, 32)) {
    u.d = __builtin_nanf("");
    return;
  }
  Sixteen p;
  spread(x, importance, 32, 1, p);
  const LineFit<Isa, has_mins, iq4> fit(shape, p);
  const Targets targets = targets_of(shape, p.copies());
  LaneLines lines;
  fit.search(targets.v, targets.n, lines);
  int best = 0;
  for (int l = 1; l < Sixteen::lanes; ++l)
    if (lines.error[l] < lines.error[best]) best = l;
  u.d = round_to_half(lines.scale[best]);
  u.m = -round_to_half(lines.min[best]);
  if (!is_finite(u.d) || !is_finite(u.m)) return;
  LaneValues scale, min;
  for (int l = 0; l < Sixteen::lanes; ++l) {
    scale[l] = u.d;
    min[l] = -u.m;
  }
  alignas(64) float q[32][Sixteen::lanes];
  fit.codes(scale, min, q);
  for (int i = 0; i < 32; ++i) u.q[i] = static_cast<std::int8_t>(q[i][0]);
}

}  // namespace coterie
