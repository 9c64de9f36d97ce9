// The line of a group, weight = scale * code - min, that leaves the least weighted squared error: sixteen groups at
// a time (sixteen.h).
//
// A line implies its codes, the nearest ones; the codes imply a better line, by least squares. The search begins
// with a range of scales around the one that just covers the group, takes two such steps from each, and keeps what
// leaves the least error. A minimum is never negative, a scale beside a minimum neither, unless the shape says so.
#pragma once

#include "formats/iq4_nl.h"
#include "formats/shape.h"
#include "formats/sixteen.h"

namespace coterie {

constexpr float least_magnitude = 0x1p-60F;  // below any half; keeps reciprocals finite

// The nearest code of a shape.
template <class Isa, bool iq4>
struct NearestCode {
  using Batch = typename Isa::Batch;
  Batch low, high;
  explicit NearestCode(const IntegerShape& s)
      : low(static_cast<float>(s.code_low)), high(static_cast<float>(s.code_high)) {}

  COTERIE_INLINE Batch operator()(Batch v) const {
    const Batch magic(0x1.8p23F);  // added and taken away again: rounds to an integer, halves to even
    return xsimd::min(xsimd::max((v + magic) - magic, low), high);
  }
};

// A binary search among the middles between neighbouring levels.
template <class Isa>
struct NearestCode<Isa, true> {
  using Batch = typename Isa::Batch;
  using Ints = typename Isa::Ints;
  alignas(64) float levels[16], middles[16];

  explicit NearestCode(const IntegerShape&) {
    for (int i = 0; i < 16; ++i) levels[i] = iq4_levels[i];
    for (int i = 0; i < 16; ++i) middles[i] = 0.5F * (levels[i] + levels[i < 15 ? i + 1 : i]);
  }

  COTERIE_INLINE Batch operator()(Batch v) const {
    Ints at = step(v, Batch(middles[7]), 8);
    at = at + step(v, Isa::lookup16(middles, at + Ints(3)), 4);
    at = at + step(v, Isa::lookup16(middles, at + Ints(1)), 2);
    at = at + step(v, Isa::lookup16(middles, at), 1);
    return Isa::lookup16(levels, at);
  }

 private:
  COTERIE_INLINE static Ints step(Batch v, Batch middle, int size) {
    return as_ints<Isa>(xsimd::select(v > middle, as_floats<Isa>(Ints(size)), Batch(0.0F)));
  }
};

struct LaneLines {
  LaneValues scale, min, error;
};

template <class Isa, bool has_mins, bool iq4>
class LineFit {
  using Batch = typename Isa::Batch;

 public:
  struct Line {
    Batch scale, min;
  };
  // Sums over a group of its codes and weights; importance is in each.
  struct Sums {
    Batch q, qq, xq;
  };

  LineFit(const IntegerShape& shape, const Sixteen& p) : shape_(shape), p_(p), nearest_(shape) {
    each_register<Isa>([&](int at) {
      Batch w(0.0F), wx(0.0F), wxx(0.0F);
      for (int i = 0; i < p_.group; ++i) {
        const Batch x = load(p_.x[i], at), each = load(p_.w[i], at) * x;
        w = w + load(p_.w[i], at);
        wx = wx + each;
        wxx = Isa::fma(each, x, wxx);
      }
      w.store_aligned(w_.v + at);
      wx.store_aligned(wx_.v + at);
      (wxx * Batch(0x1p-36F)).store_aligned(margin_.v + at);
    });
  }

  // targets: where the far end of a group, in codes, may fall; a multiple of p.copies().
  void search(const float* targets, int n_targets, LaneLines& best) const {
    each_register<Isa>([&](int at) {
      const Ends ends = ends_of(at);
      Line line = flat(at);
      Batch error = squared_error(at, line);
      for (int first = 0; first < n_targets; first += p_.copies()) {
        LaneValues target;
        for (int c = 0; c < p_.copies(); ++c)
          for (int g = 0; g < p_.groups; ++g) target[c * p_.groups + g] = targets[first + c];
        Line candidate{ends.reach / load(target.v, at), Batch(0.0F) - ends.low};
        candidate = improved(at, improved(at, candidate));
        const Batch its_error = squared_error(at, candidate);
        const auto better = its_error + load(margin_.v, at) < error;
        line.scale = xsimd::select(better, candidate.scale, line.scale);
        line.min = xsimd::select(better, candidate.min, line.min);
        error = xsimd::select(better, its_error, error);
      }
      line.scale.store_aligned(best.scale.v + at);
      line.min.store_aligned(best.min.v + at);
      error.store_aligned(best.error.v + at);
    });
  }

  // What follows is about the codes that lines imply, in the lanes from `at` on.
  Batch squared_error(int at, Line line) const {
    const Batch inverse = inverse_of(line.scale), down = Batch(0.0F) - line.scale;
    Batch error(0.0F);
    for (int i = 0; i < p_.group; ++i) {
      Batch x = load(p_.x[i], at);
      if constexpr (has_mins) x = x + line.min;
      const Batch e = Isa::fma(down, nearest_(x * inverse), x);
      error = Isa::fma(load(p_.w[i], at) * e, e, error);
    }
    return error;
  }

  // What least squares needs.
  Sums sums(int at, Line line) const {
    const Batch inverse = inverse_of(line.scale), offset = line.min * inverse;
    Sums s{Batch(0.0F), Batch(0.0F), Batch(0.0F)};
    for (int i = 0; i < p_.group; ++i) {
      const Batch x = load(p_.x[i], at), q = code(x, inverse, offset), wq = load(p_.w[i], at) * q;
      if constexpr (has_mins) s.q = s.q + wq;
      s.qq = Isa::fma(wq, q, s.qq);
      s.xq = Isa::fma(wq, x, s.xq);
    }
    return s;
  }

  // q [group][16]
  void codes(int at, Line line, float (*q)[Sixteen::lanes]) const {
    const Batch inverse = inverse_of(line.scale), offset = line.min * inverse;
    for (int i = 0; i < p_.group; ++i) code(load(p_.x[i], at), inverse, offset).store_aligned(q[i] + at);
  }

  const LaneValues& importance_sums() const { return w_; }
  const LaneValues& weighted_sums() const { return wx_; }
  // Errors that differ by less are equal but for rounding: then the earlier candidate stays, so that groups which fit
  // many lines perfectly agree on one, and their integer scales are simple.
  const LaneValues& margins() const { return margin_; }

 private:
  // reach: what the scales divide; low: where code 0 begins.
  struct Ends {
    Batch reach, low;
  };

  COTERIE_INLINE static Batch load(const float* p, int at) { return Batch::load_aligned(p + at); }

  COTERIE_INLINE static Batch inverse_of(Batch scale) {
    return xsimd::select(xsimd::abs(scale) > Batch(least_magnitude), Batch(1.0F) / scale, Batch(0.0F));
  }

  COTERIE_INLINE Batch code(Batch x, Batch inverse, Batch offset) const {
    if constexpr (has_mins) return nearest_(Isa::fma(x, inverse, offset));
    return nearest_(x * inverse);
  }

  // The range from zero or below to the top; without minima, the value of largest magnitude.
  Ends ends_of(int at) const {
    Batch high = load(p_.x[0], at),
          low = xsimd::min(high, Batch(shape_.signed_mins ? __builtin_inff() : 0.0F));
    for (int i = 0; i < p_.group; ++i) {
      low = xsimd::min(low, load(p_.x[i], at));
      high = xsimd::max(high, load(p_.x[i], at));
    }
    if constexpr (has_mins) return {high - low, low};
    return {xsimd::select(Batch(0.0F) - low > high, low, high), Batch(0.0F)};
  }

  // All weights alike.
  Line flat(int at) const {
    if constexpr (!has_mins) return {Batch(0.0F), Batch(0.0F)};
    return {Batch(0.0F), xsimd::max(Batch(0.0F) - load(wx_.v, at) / load(w_.v, at), Batch(least_min_))};
  }

  // Least squares for the codes of a line.
  Line improved(int at, Line line) const {
    const Sums s = sums(at, line);
    const Batch zero(0.0F);
    const Line through_zero{xsimd::select(s.qq > zero, s.xq / s.qq, zero), zero};
    if constexpr (!has_mins) return through_zero;
    const Batch w = load(w_.v, at), wx = load(wx_.v, at);
    const Batch determinant = w * s.qq - s.q * s.q;
    const Line best{(w * s.xq - s.q * wx) / determinant, (s.q * s.xq - s.qq * wx) / determinant};
    const auto sound = determinant > zero && best.scale >= zero && best.min >= Batch(least_min_);
    return {xsimd::select(sound, best.scale, through_zero.scale), xsimd::select(sound, best.min, zero)};
  }

  const IntegerShape& shape_;
  const Sixteen& p_;
  NearestCode<Isa, iq4> nearest_;
  const float least_min_ = shape_.signed_mins ? -__builtin_inff() : 0.0F;
  LaneValues w_, wx_, margin_;
};

}  // namespace coterie
