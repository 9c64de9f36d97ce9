// From the search over points to a whole block: the scales of its groups and the one they are multiples of.
#pragma once

#include "formats/codebook_search.h"
#include "formats/importance.h"

namespace coterie {

template <class Isa>
class CodebookFitter {
 public:
  COTERIE_INLINE CodebookFitter(const CodebookShape& shape, CodebookFit& fit) : shape_(shape), fit_(fit) {}

  COTERIE_INLINE void run(const float* w, const float* importance) {
    fit_ = {};
    if (!prepare(w, importance)) return;
    for (int g = 0; g < groups(); ++g) build(g, guess(g));
    choose_scales();
    for (int v = 0; v < 256 / size(); ++v) settle(v);
  }

 private:
  using Batch = typename Isa::Batch;
  static constexpr int width = static_cast<int>(Batch::size);
  static constexpr int trials = 16;  // scales that are tried at a time

  COTERIE_INLINE int size() const { return shape_.books[0].size; }
  COTERIE_INLINE int groups() const { return 256 / shape_.group; }
  COTERIE_INLINE int vectors() const { return shape_.group / size(); }  // of a group

  // Magnitudes and signs (or, under an offset, the weights as they are) and the importance of their errors. False
  // where the weights are beyond reach.
  COTERIE_INLINE bool prepare(const float* w, const float* importance) {
    if (!within_reach(w, 256)) {
      fit_.d = float_of(0x7fc00000U);
      return false;
    }
    for (int i = 0; i < 256; ++i) {
      const bool minus = shape_.offset_span == 0 && w[i] < 0;
      fit_.signs[i / 8] = static_cast<std::uint8_t>(fit_.signs[i / 8] | (minus ? 1U : 0U) << (i % 8));
      x_[i] = minus ? -w[i] : w[i];
    }
    normalise_importance(importance, 256, w_);
    return true;
  }

  // The scale that fits group g best when its weights may be any levels; chooses the books on the way.
  COTERIE_INLINE float guess(int g) {
    float sum_w = 0, sum_wxx = 0;
    for (int i = g * shape_.group; i < (g + 1) * shape_.group; ++i) {
      sum_w += w_[i];
      sum_wxx += w_[i] * x_[i] * x_[i];
    }
    if (!(sum_wxx > 0)) return 0.0F;
    const float root = __builtin_sqrtf(sum_wxx / sum_w);
    float best = float_of(0x7f800000U), best_t = 0;
    for (int half = 0; half < 2; ++half) {
      alignas(64) float t[trials], f[trials];
      for (int k = 0; k < trials; ++k) {
        const float part = static_cast<float>(half * trials + k) / static_cast<float>(2 * trials - 1);
        t[k] = root / (shape_.least_inverse + part * (shape_.largest_inverse - shape_.least_inverse));
      }
      free_scores(g, t, f);
      for (int k = 0; k < trials; ++k) {
        if (!(f[k] < best)) continue;
        best = f[k];
        best_t = t[k];
      }
    }
    if (shape_.offset_span != 0) choose_books(g, best_t);
    return best_t;
  }

  // f[k] = the error (less a constant) of group g under scale t[k] without a grid.
  COTERIE_INLINE void free_scores(int g, const float* t, float* f) const {
    const int span = shape_.offset_span != 0 ? shape_.offset_span : shape_.group;
    for (int lane = 0; lane < trials; lane += width) {
      const Batch scale = Batch::load_aligned(t + lane);
      Batch sum(0.0F);
      for (int i = g * shape_.group; i < (g + 1) * shape_.group; i += span) {
        Batch part = free_sum(0, i, span, scale);
        if (shape_.offset_span != 0) part = xsimd::min(part, free_sum(1, i, span, scale));
        sum = sum + part;
      }
      (sum * scale).store_aligned(f + lane);
    }
  }

  COTERIE_INLINE Batch free_sum(int book, int at, int n, Batch t) const {
    const float* levels = shape_.books[book].first;
    const int n_levels = size() == 4 ? 8 : 3;
    Batch sum(0.0F);
    for (int i = at; i < at + n; ++i) {
      const float wx = 2.0F * (w_[i] * x_[i]);
      Batch least(0x1p120F);
      for (int l = 0; l < n_levels; ++l)
        least = xsimd::min(least, t * Batch(w_[i] * levels[l] * levels[l]) - Batch(wx * levels[l]));
      sum = sum + least;
    }
    return sum;
  }

  COTERIE_INLINE void choose_books(int g, float t) {
    for (int i = g * shape_.group; i < (g + 1) * shape_.group; i += shape_.offset_span) {
      alignas(64) float plus[width], minus[width];
      free_sum(0, i, shape_.offset_span, Batch(t)).store_aligned(plus);
      free_sum(1, i, shape_.offset_span, Batch(t)).store_aligned(minus);
      for (int k = i / 8; k < (i + shape_.offset_span) / 8; ++k) fit_.books[k] = minus[0] < plus[0] ? 1 : 0;
    }
  }

  COTERIE_INLINE void project(int v) {
    const int at = v * size();
    search_.project(shape_.books[fit_.books[at / 8]], x_ + at, w_ + at, flips(v));
  }

  // The vector that takes the sign which makes their number even: of two in eight weights, the one with the
  // weight that loses least.
  COTERIE_INLINE bool flips(int v) const {
    const int at = v * size() / 8 * 8;
    if (!shape_.even_signs || __builtin_parity(fit_.signs[at / 8]) == 0) return false;
    int cheapest = at;
    for (int i = at; i < at + 8; ++i)
      if (w_[i] * x_[i] * x_[i] < w_[cheapest] * x_[cheapest] * x_[cheapest]) cheapest = i;
    return cheapest / size() == v;
  }

  COTERIE_INLINE void build(int g, float t) {
    t_[g] = t;
    for (int v = g * vectors(); v < (g + 1) * vectors(); ++v) {
      project(v);
      search_.envelope(0.8F * t, 1.25F * t, envelopes_[v]);
    }
    if (!(t > 0)) return;
    alignas(64) float scales[trials], f[trials];
    for (int k = 0; k < trials; ++k) scales[k] = t / (0.82F + 0.0267F * static_cast<float>(k));
    scores(g, scales, f);
    t_[g] = refit(g, scales[least_of(f)]);
  }

  // f[k] = the error (less a constant) of group g under scale t[k].
  COTERIE_INLINE void scores(int g, const float* t, float* f) const {
    for (int lane = 0; lane < trials; lane += width) {
      const Batch scale = Batch::load_aligned(t + lane);
      Batch sum(0.0F);
      for (int v = g * vectors(); v < (g + 1) * vectors(); ++v) {
        const Envelope& e = envelopes_[v];
        Batch least = scale * Batch(e.b[0]) - Batch(e.a[0]);
        for (int i = 1; i < e.n; ++i) least = xsimd::min(least, scale * Batch(e.b[i]) - Batch(e.a[i]));
        sum = sum + least;
      }
      (sum * scale).store_aligned(f + lane);
    }
  }

  COTERIE_INLINE static int least_of(const float* f) {
    Batch least = Batch::load_aligned(f);
    for (int i = width; i < trials; i += width) least = xsimd::min(least, Batch::load_aligned(f + i));
    const Batch all_least(Isa::least(least));
    for (int i = 0; i < trials; i += width)
      if (const std::uint32_t found = Isa::at_most(Batch::load_aligned(f + i), all_least); found != 0)
        return i + __builtin_ctz(found);
    return 0;
  }

  COTERIE_INLINE static int best_of(const Envelope& e, float t) {
    int best = 0;
    float least = t * e.b[0] - e.a[0];
    for (int i = 1; i < e.n; ++i) {
      const float score = t * e.b[i] - e.a[i];
      if (!(score < least)) continue;
      least = score;
      best = i;
    }
    return best;
  }

  // Sums over the points that are best for group g under scale t.
  COTERIE_INLINE void sums(int g, float t, float& a, float& b) const {
    a = b = 0;
    for (int v = g * vectors(); v < (g + 1) * vectors(); ++v) {
      const int i = best_of(envelopes_[v], t);
      a += envelopes_[v].a[i];
      b += envelopes_[v].b[i];
    }
  }

  COTERIE_INLINE float refit(int g, float t) const {
    float a, b;
    sums(g, t, a, b);
    return a > 0 && b > 0 ? a / (b + b) : t;
  }

  // d as the block can hold it.
  COTERIE_INLINE float stored(float d) const {
    return half_to_float(float_to_half(d * shape_.unit)) / shape_.unit;
  }

  // The best scales of all groups for a given d; returns the error, less a constant.
  COTERIE_INLINE float scales_for(float d, std::uint8_t* n) const {
    alignas(64) float t[trials], f[trials];
    for (int k = 0; k < trials; ++k) {
      const int within = k < shape_.n_scales ? k : shape_.n_scales - 1;
      t[k] = d * static_cast<float>(2 * within + 1);
    }
    float error = 0;
    for (int g = 0; g < groups(); ++g) {
      scores(g, t, f);
      const int least = least_of(f);
      n[g] = static_cast<std::uint8_t>(least);
      error += f[least];
    }
    return error;
  }

  COTERIE_INLINE void consider(float wanted) {
    const float d = stored(wanted);
    if (!(d > 0)) return;
    std::uint8_t n[16];
    const float error = scales_for(d, n);
    if (!(error < error_)) return;
    error_ = error;
    fit_.d = d;
    for (int g = 0; g < groups(); ++g) fit_.scales[g] = n[g];
  }

  COTERIE_INLINE void choose_scales() {
    float top = 0;
    for (int g = 0; g < groups(); ++g) top = t_[g] > top ? t_[g] : top;
    const float most = static_cast<float>(2 * shape_.n_scales - 1);
    for (int k = -2; k < 7; ++k) consider(top / (most * (1.0F - 0.04F * static_cast<float>(k))));
    for (int round = 0; round < 3; ++round) {
      const float before = error_;
      float sum_a = 0, sum_b = 0;
      for (int g = 0; g < groups(); ++g) {
        const float odd = static_cast<float>(2 * fit_.scales[g] + 1);
        float a, b;
        sums(g, fit_.d * odd, a, b);
        sum_a += odd * a;
        sum_b += odd * odd * b;
      }
      if (!(sum_a > 0 && sum_b > 0)) return;
      consider(sum_a / (sum_b + sum_b));
      if (!(error_ < before)) return;
    }
  }

  // The point of vector v under the chosen scale, and the sign that goes with it.
  COTERIE_INLINE void settle(int v) {
    const int at = v * size();
    const float t = fit_.d * static_cast<float>(2 * fit_.scales[at / shape_.group] + 1);
    const Envelope& e = envelopes_[v];
    int point;
    if (t >= e.low && t <= e.high) {
      point = e.point[best_of(e, t)];
    } else {
      project(v);
      point = search_.index(search_.best(t));
    }
    fit_.points[v] = static_cast<std::uint16_t>(point);
    if (flips(v)) flips_[at / 8] = static_cast<std::uint8_t>(1U << cheapest_sign(at, point));
    if ((v + 1) * size() % 8 == 0) fit_.signs[at / 8] ^= flips_[at / 8];
  }

  COTERIE_INLINE int cheapest_sign(int at, int point) const {
    const Codebook& book = shape_.books[0];
    const unsigned code = book.points[point];
    int cheapest = 0;
    float least = float_of(0x7f800000U);
    for (int j = 0; j < size(); ++j) {
      const float level = size() == 4 ? book.first[code >> (4 * j) & 15] : book.first[code >> (2 * j) & 3];
      const float loss = w_[at + j] * x_[at + j] * level;
      if (!(loss < least)) continue;
      least = loss;
      cheapest = j;
    }
    return at % 8 + cheapest;
  }

  const CodebookShape& shape_;
  CodebookFit& fit_;
  CodebookSearch<Isa> search_;
  alignas(64) float x_[256], w_[256];
  Envelope envelopes_[64];
  float t_[16];
  float error_ = 0;  // of a zero scale
  std::uint8_t flips_[32] = {};
};

// w [256], importance [256] or nullptr. A function that the formats share.
template <class Isa>
void fit_codebook(const CodebookShape& shape, const float* w, const float* importance, CodebookFit& fit) {
  CodebookFitter<Isa>(shape, fit).run(w, importance);
}

}  // namespace coterie
