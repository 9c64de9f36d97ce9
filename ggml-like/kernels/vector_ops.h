// Operations on float vectors, written once for every ISA: reductions over the 32 lanes of base/simd.h, the
// rest element by element in IEEE operations and fma. The same operations in the same order, hence the same
// bits everywhere; only the sign and payload of a NaN are left to the hardware.
#pragma once

#include "base/simd.h"
#include "formats/q4_0.h"
#include "formats/q8_0.h"
#include "kernels/each.h"
#include "kernels/kernels.h"

namespace coterie {

template <class Isa>
struct VectorOps {
  using Batch = typename Isa::Batch;
  using Ints = typename Isa::Ints;
  using Lane32 = Lanes<Isa>;
  static constexpr int width = static_cast<int>(Batch::size);

  // e^x to within 2 units in the last place; 0 and infinity where the result leaves the floats, subnormals
  // included. e^x = 2^n e^r, |r| <= ln 2 / 2; polynomial and split of ln 2 as in Cephes' expf. 2^n is applied
  // in two factors, since n goes from -152 to 128.
  COTERIE_INLINE static Batch exp(Batch x) {
    x = select(x > Batch(89.0F), Batch(89.0F), select(x < Batch(-105.0F), Batch(-105.0F), x));
    const Batch round(12582912.0F);  // 1.5 * 2^23: adding it leaves the rounded integer in the last bits
    const Batch shifted = Isa::fma(x, Batch(1.44269504088896341F), round);
    const Batch n = shifted - round;
    Batch r = Isa::fma(n, Batch(-0.693359375F), x);
    r = Isa::fma(n, Batch(2.12194440e-4F), r);
    Batch p(1.9875691500e-4F);
    p = Isa::fma(p, r, Batch(1.3981999507e-3F));
    p = Isa::fma(p, r, Batch(8.3334519073e-3F));
    p = Isa::fma(p, r, Batch(4.1665795894e-2F));
    p = Isa::fma(p, r, Batch(1.6666665459e-1F));
    p = Isa::fma(p, r, Batch(5.0000001201e-1F));
    p = Isa::fma(p, r * r, r) + Batch(1.0F);
    const Ints exponent = as_ints<Isa>(shifted) - as_ints<Isa>(round);
    const Ints first = exponent >> 1;
    return p * power_of_two(first) * power_of_two(exponent - first);
  }

  // Relative error of a few units; below -88.7 they become 0 (sigmoid) and -0 (silu), true values under
  // 1e-36.
  COTERIE_INLINE static Batch sigmoid(Batch x) { return Batch(1.0F) / (Batch(1.0F) + exp(Batch(0.0F) - x)); }
  COTERIE_INLINE static Batch silu(Batch x) { return x / (Batch(1.0F) + exp(Batch(0.0F) - x)); }

  static float dot(const float* a, const float* b, std::int64_t n) {
    Lane32 acc = Lane32::broadcast(0.0F);
    std::int64_t i = 0;
    for (; i + 32 <= n; i += 32) acc.fma(Lane32::load(a + i), Lane32::load(b + i));
    const int left = static_cast<int>(n - i);
    if (left > 0) acc.fma(Lane32::load_part(a + i, left, 0.0F), Lane32::load_part(b + i, left, 0.0F));
    return acc.fold([](auto p, auto q) { return p + q; });
  }

  static float sum(const float* x, std::int64_t n) {
    return reduce(x, n, 0.0F, [](auto p, auto q) { return p + q; });
  }

  // The largest element, -infinity for none. Which NaN survives, if any, depends on its place and not on the
  // ISA.
  static float max(const float* x, std::int64_t n) { return reduce(x, n, -__builtin_inff(), Larger{}); }

  // y = x / sqrt(mean of x^2 + eps) * weight; y may be x.
  static void rms_norm(const float* x, const float* weight, std::int64_t n, float eps, float* y) {
    const float mean = dot(x, x, n) / static_cast<float>(n);
    const float scale = 1.0F / __builtin_sqrtf(mean + eps);
    map2(x, weight, n, y, [scale](Batch a, Batch w) { return a * Batch(scale) * w; });
  }

  static void swiglu(const float* gate, const float* up, std::int64_t n, float* y) {
    map2(gate, up, n, y, [](Batch g, Batch u) { return silu(g) * u; });
  }

  static void add(const float* x, std::int64_t n, float* y) {
    map2(x, y, n, y, [](Batch a, Batch b) { return b + a; });
  }

  static void axpy(float a, const float* x, std::int64_t n, float* y) {
    map2(x, y, n, y, [a](Batch p, Batch q) { return Isa::fma(Batch(a), p, q); });
  }

  static void scale(float a, std::int64_t n, float* y) {
    map2(y, y, n, y, [a](Batch p, Batch) { return p * Batch(a); });
  }

  static void exp_minus(float m, std::int64_t n, float* y) {
    map2(y, y, n, y, [m](Batch p, Batch) { return exp(p - Batch(m)); });
  }

  static void sigmoid_all(std::int64_t n, float* y) {
    map2(y, y, n, y, [](Batch p, Batch) { return sigmoid(p); });
  }

  static void half_to_float(const std::uint16_t* x, std::int64_t n, float* y) {
    std::int64_t i = 0;
    for (; i + width <= n; i += width) Isa::load_half(x + i).store_unaligned(y + i);
    for (; i < n; ++i) y[i] = coterie::half_to_float(x[i]);
  }

  static void q8_0_to_float(const std::byte* blocks, std::int64_t n, float* y) {
    const auto* b = reinterpret_cast<const Q8_0::Block*>(blocks);
    for (std::int64_t i = 0; i < n; i += Q8_0::block_size, ++b, y += Q8_0::block_size) Q8_0::decode(*b, y);
  }

  // The same values; a negative scale, which Q4_0 has, changes sides.
  static void q4_0_to_q8_0(const std::byte* blocks, std::int64_t n, std::byte* out) {
    const auto* b = reinterpret_cast<const Q4_0::Block*>(blocks);
    auto* to = reinterpret_cast<Q8_0::Block*>(out);
    for (std::int64_t i = 0; i < n; i += Q8_0::block_size, ++b, ++to) {
      const int sign = (b->scale.bits & 0x8000) != 0 ? -1 : 1;
      to->scale.bits = b->scale.bits & 0x7fff;
      Q4_0::Integers u;
      Q4_0::unpack(*b, u);
      for (int j = 0; j < Q4_0::block_size; ++j) to->q[j] = static_cast<std::int8_t>(u.q[j] * sign);
    }
  }

  static void float_to_half(const float* x, std::int64_t n, std::uint16_t* y) {
    std::int64_t i = 0;
    for (; i + width <= n; i += width) Isa::store_half(Batch::load_unaligned(x + i), y + i);
    for (; i < n; ++i) y[i] = coterie::float_to_half(x[i]);
  }

  static float softmax(float* x, std::int64_t n, float factor, SoftmaxState& r) {
    scale(factor, n, x);
    const float block_max = max(x, n);
    const float top = r.max > block_max ? r.max : block_max;
    exp_minus(top, n, x);
    float shrink = r.max;
    exp_minus(top, 1, &shrink);
    r = {top, r.sum * shrink + sum(x, n)};
    return shrink;
  }

  static void transpose(const float* x, std::int64_t x_stride, int n_rows, int n_cols, float* y,
                        std::int64_t y_stride) {
    const int whole_rows = n_rows / width * width;
    const int whole_cols = n_cols / width * width;
    for (int r = 0; r < whole_rows; r += width)
      for (int c = 0; c < whole_cols; c += width)
        turn_square(x + r * x_stride + c, x_stride, y + c * y_stride + r, y_stride);
    for (int r = 0; r < n_rows; ++r)
      for (int c = r < whole_rows ? whole_cols : 0; c < n_cols; ++c)
        y[c * y_stride + r] = x[r * x_stride + c];
  }

  // Tiles of tokens and columns, d ascending: every element is its own fma chain, so tiling cannot change a bit.
  static void outer(const float* x, std::int64_t x_stride, int n_tokens, const float* w,
                    std::int64_t w_stride, int n_inner, int n_cols, float* y, std::int64_t y_stride) {
    const Outer o{x, x_stride, w, w_stride, n_inner, y, y_stride};
    // As many sums as the registers hold; two columns of w, whose 2 * width floats a row stay in the first-level cache.
    constexpr int tokens = width >= 16 ? 8 : 4;
    int c = 0;
    for (; c + 2 * width <= n_cols; c += 2 * width) {
      int t = 0;
      for (; t + tokens <= n_tokens; t += tokens) o.template tile<tokens, 2>(t, c);
      for (; t < n_tokens; ++t) o.template tile<1, 2>(t, c);
    }
    for (; c + width <= n_cols; c += width) {
      int t = 0;
      for (; t + tokens <= n_tokens; t += tokens) o.template tile<tokens, 1>(t, c);
      for (; t < n_tokens; ++t) o.template tile<1, 1>(t, c);
    }
    for (int t = 0; t < n_tokens; ++t) {
      for (int rest = c; rest < n_cols; ++rest) {
        float acc = 0.0F;
        for (int d = 0; d < n_inner; ++d) acc = Isa::fma(x[t * x_stride + d], w[d * w_stride + rest], acc);
        y[t * y_stride + rest] = acc;
      }
    }
  }

 private:
  struct Larger {
    COTERIE_INLINE Batch operator()(Batch p, Batch q) const { return select(p > q, p, q); }
    COTERIE_INLINE float operator()(float p, float q) const { return p > q ? p : q; }
  };

  COTERIE_INLINE static Batch power_of_two(Ints n) { return as_floats<Isa>((n + Ints(127)) << 23); }

  template <class Op>
  COTERIE_INLINE static float reduce(const float* x, std::int64_t n, float neutral, Op op) {
    Lane32 acc = Lane32::broadcast(neutral);
    std::int64_t i = 0;
    for (; i + 32 <= n; i += 32) acc = join(acc, Lane32::load(x + i), op);
    if (i < n) acc = join(acc, Lane32::load_part(x + i, static_cast<int>(n - i), neutral), op);
    return acc.fold(op);
  }

  template <class Op>
  COTERIE_INLINE static Lane32 join(Lane32 a, const Lane32& b, Op op) {
    Lane32::each([&](auto i) __attribute__((always_inline)) { a.v[i] = op(a.v[i], b.v[i]); });
    return a;
  }

  // y[i] = f(a[i], b[i]); y may be a or b. The last elements go through a padded copy.
  template <class F>
  COTERIE_INLINE static void map2(const float* a, const float* b, std::int64_t n, float* y, F f) {
    std::int64_t i = 0;
    for (; i + width <= n; i += width)
      f(Batch::load_unaligned(a + i), Batch::load_unaligned(b + i)).store_unaligned(y + i);
    if (i == n) return;
    alignas(64) float last[3][width] = {};
    for (std::int64_t j = i; j < n; ++j) {
      last[0][j - i] = a[j];
      last[1][j - i] = b[j];
    }
    f(Batch::load_aligned(last[0]), Batch::load_aligned(last[1])).store_aligned(last[2]);
    for (std::int64_t j = i; j < n; ++j) y[j] = last[2][j - i];
  }

  // width x width floats: blocks of half the size change places across the diagonal, then of a quarter ...
  COTERIE_INLINE static void turn_square(const float* x, std::int64_t x_stride, float* y,
                                         std::int64_t y_stride) {
    Register v[width];
    each<width>([&](auto i)
                    __attribute__((always_inline)) { v[i] = Batch::load_unaligned(x + i * x_stride); });
    exchange<width / 2>(v);
    each<width>([&](auto i)
                    __attribute__((always_inline)) { Batch(v[i]).store_unaligned(y + i * y_stride); });
  }
  using Register = typename Batch::register_type;
  template <int half>
  COTERIE_INLINE static void exchange(Register (&v)[width]) {
    each<width / 2>([&](auto k) __attribute__((always_inline)) {
      constexpr int i = k / half * 2 * half + k % half;
      const Register a = v[i];
      const Register b = v[i + half];
      [&]<int... j>(std::integer_sequence<int, j...>) __attribute__((always_inline)) {
        v[i] = __builtin_shufflevector(a, b, ((j & half) != 0 ? width + j - half : j)...);
        v[i + half] = __builtin_shufflevector(a, b, ((j & half) != 0 ? width + j : j + half)...);
      }
      (std::make_integer_sequence<int, width>{});
    });
    if constexpr (half > 1) exchange<half / 2>(v);
  }

  struct Outer {
    const float* x;
    std::int64_t x_stride;
    const float* w;
    std::int64_t w_stride;
    int n_inner;
    float* y;
    std::int64_t y_stride;

    template <int tokens, int columns>
    COTERIE_INLINE void tile(int first, int column) const {
      constexpr int sums = tokens * columns;  // sum i: token i / columns, registers i % columns
      Batch acc[sums];
      each<sums>([&](auto i) __attribute__((always_inline)) { acc[i] = Batch(0.0F); });
      const float* row = w + column;
      const float* from = x + first * x_stride;
      for (int d = 0; d < n_inner; ++d, row += w_stride, ++from) {
        Batch v[columns];
        each<columns>([&](auto i)
                          __attribute__((always_inline)) { v[i] = Batch::load_unaligned(row + i * width); });
        each<tokens>([&](auto t) __attribute__((always_inline)) {
          const Batch factor(from[t * x_stride]);
          each<columns>([&](auto i) __attribute__((always_inline)) {
            acc[t * columns + i] = Isa::fma(factor, v[i], acc[t * columns + i]);
          });
        });
      }
      each<sums>([&](auto i) __attribute__((always_inline)) {
        acc[i].store_unaligned(y + (first + i / columns) * y_stride + column + i % columns * width);
      });
    }
  };
};

}  // namespace coterie
