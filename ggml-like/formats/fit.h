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

// Around the code that the far end of a group falls on: the more codes, the more it may pay to lose sight of the end.
// Without minima the largest magnitude may fall on either end, and the ends differ. Where one group stands in all
// lanes, there is room for more.
COTERIE_INLINE Targets targets_of(const IntegerShape& shape, int copies) {
  Targets t;
  const int half = copies < Sixteen::lanes ? 5 : shape.has_mins ? 16 : 12;
  const float n_codes = static_cast<float>(shape.code_high - shape.code_low + 1);
  const float reach = shape.iq4 ? 20.0F : 0.5F * __builtin_sqrtf(n_codes);
  for (int i = 0; i < 2 * half; ++i) {
    const int k = i % 2 == 0 ? -i / 2 : (i + 1) / 2;  // the nearest first
    const float away = reach * static_cast<float>(k) / static_cast<float>(half);
    if (!shape.has_mins) t.add(static_cast<float>(shape.code_low) - away);
    t.add(static_cast<float>(shape.code_high) + away);
  }
  return t;
}

// One up and one down: what is added to scales and minima. Two lanes of a group take two of them at once.
struct Neighbours {
  static constexpr int most = 9;
  LaneValues scale[most], min[most];
  int n;

  consteval Neighbours(bool has_mins, int copies) : scale{}, min{}, n(0) {
    const int all = has_mins ? 9 : 3;
    for (int first = 0; first < all; first += copies, ++n)
      for (int l = 0; l < Sixteen::lanes; ++l) {
        const int k = first + l * copies / Sixteen::lanes;
        scale[n][l] = static_cast<float>(k < all ? (k + 1) % 3 - 1 : 0);
        min[n][l] = static_cast<float>(k < all ? (k / 3 + 1) % 3 - 1 : 0);
      }
  }
};

template <class Isa, bool has_mins, bool iq4>
class SuperBlock {
  using Batch = typename Isa::Batch;
  using Fit = LineFit<Isa, has_mins, iq4>;
  static constexpr Neighbours neighbours[2] = {{has_mins, 1}, {has_mins, 2}};

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
    COTERIE_INLINE typename Fit::Line line(int at) const {
      return {load(scale, at) * Batch(d), load(min, at) * Batch(dmin)};
    }
  };

  COTERIE_INLINE static Batch load(const LaneValues& a, int at) { return Batch::load_aligned(a.v + at); }
  COTERIE_INLINE static void store(Batch x, LaneValues& a, int at) { x.store_aligned(a.v + at); }

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
    float least = __builtin_inff();
    for (const float stretch : {1.0F, 0.94F, 0.96F, 0.98F, 1.02F, 1.04F, 1.06F, 1.12F, 1.185F}) {
      Supers tried{round_to_half(scale / stretch), round_to_half(min / stretch), {}, {}};
      if (stretch == 1.0F) now_ = tried;
      if (!tried.are_numbers()) continue;
      const float error = take_nearest_integers(lines, tried);
      if (!(error < least)) continue;
      least = error;
      now_ = tried;
    }
  }

  COTERIE_INLINE static float magnitude(float f) { return float_of(bits_of(f) & 0x7fffffffU); }

  // Those nearest to the lines under the halves of s. Returns the error of the whole block.
  float take_nearest_integers(const LaneLines& lines, Supers& s) const {
    LaneValues error;
    each_register<Isa>([&](int at) {
      store(within(nearest(load(lines.scale, at), s.d), shape_.scale_low), s.scale, at);
      store(within(nearest(load(lines.min, at), s.dmin), 0), s.min, at);
      store(fit_.squared_error(at, s.line(at)), error, at);
    });
    return sum(error);
  }

  COTERIE_INLINE static Batch nearest(Batch v, float unit) {
    const Batch magic(0x1.8p23F);
    return unit != 0.0F ? (v / Batch(unit) + magic) - magic : Batch(0.0F);
  }

  // Of the integers that the shape has.
  COTERIE_INLINE Batch within(Batch v, int low) const {
    return xsimd::min(xsimd::max(v, Batch(static_cast<float>(low))),
                      Batch(static_cast<float>(shape_.scale_high)));
  }

  COTERIE_INLINE float sum(const LaneValues& error) const {
    float sum = 0.0F;
    for (int g = 0; g < p_.groups; ++g) sum += error[g];
    return sum;
  }

  // Every lane takes what the best of its group's lanes has found.
  void merge(LaneValues& error, LaneValues& a, LaneValues& b) const {
    for (int l = p_.groups; l < Sixteen::lanes; ++l) {
      const int first = l % p_.groups;
      if (!(error[l] + fit_.margins()[l] < error[first])) continue;
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
    LaneValues error;
    const Neighbours& steps = neighbours[p_.copies() - 1];
    const Batch d(now_.d), dmin(now_.dmin);
    each_register<Isa>([&](int at) {
      const Batch scale = load(now_.scale, at), min = load(now_.min, at);
      Batch best_scale = scale, best_min = min, least(__builtin_inff());
      for (int k = 0; k < steps.n; ++k) {
        const Batch s = within(scale + load(steps.scale[k], at), shape_.scale_low);
        const Batch m = within(min + load(steps.min[k], at), 0);
        const Batch e = fit_.squared_error(at, {s * d, m * dmin});
        const auto better = e < least;
        least = xsimd::select(better, e, least);
        best_scale = xsimd::select(better, s, best_scale);
        best_min = xsimd::select(better, m, best_min);
      }
      store(best_scale, now_.scale, at);
      store(best_min, now_.min, at);
      store(least, error, at);
    });
    merge(error, now_.scale, now_.min);
    return sum(error);
  }

  // d and dmin by least squares over all weights. False: nothing to fit.
  bool refit() {
    LaneValues q, qq, xq;
    each_register<Isa>([&](int at) {
      const auto sums = fit_.sums(at, now_.line(at));
      store(sums.q, q, at);
      store(sums.qq, qq, at);
      store(sums.xq, xq, at);
    });
    float aa = 0.0F, ab = 0.0F, bb = 0.0F, ax = 0.0F, bx = 0.0F;
    for (int g = 0; g < p_.groups; ++g) {
      const float s = now_.scale[g], m = now_.min[g];
      aa += s * s * qq[g];
      ax += s * xq[g];
      ab -= s * m * q[g];  // zero without minima
      bb += m * m * fit_.importance_sums()[g];
      bx -= m * fit_.weighted_sums()[g];
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
    each_register<Isa>([&](int at) { fit_.codes(at, now_.line(at), q); });
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
  Fit fit_;
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
  using Batch = typename Isa::Batch;
  alignas(64) float q[32][Sixteen::lanes];
  fit.codes(0, {Batch(u.d), Batch(-u.m)}, q);
  for (int i = 0; i < 32; ++i) u.q[i] = static_cast<std::int8_t>(q[i][0]);
}

}  // namespace coterie
