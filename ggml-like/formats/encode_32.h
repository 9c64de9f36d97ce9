// The 32-block encoders that do not search. Their codes and scales are ggml's, bit for bit; a block with a weight
// that is no number gets a scale that is none.
#pragma once

#include "base/simd.h"
#include "formats/integers.h"
#include "formats/shape.h"

namespace coterie {

template <class Isa>
class PlainBlock {
  using Batch = typename Isa::Batch;
  static constexpr int width = static_cast<int>(Batch::size);

 public:
  // Q4_0, Q5_0: the value of largest magnitude (the first of several) is mapped to the lowest code.
  COTERIE_INLINE static void map_extreme(const IntegerShape& shape, const float* x, Integers32& u) {
    const float top = magnitude(x, u);
    if (!is_finite(top)) return;
    float extreme = 0.0F;
    for (int i = 0; extreme == 0.0F && top > 0.0F && i < 32; ++i)
      if (x[i] == top || x[i] == -top) extreme = x[i];
    const Batch low(static_cast<float>(shape.code_low)), up(0.5F - static_cast<float>(shape.code_low));
    const Batch last(static_cast<float>(shape.code_high - shape.code_low));
    u.d = extreme / static_cast<float>(shape.code_low);
    const Batch inverse(inverse_or_zero(u.d));
    store_codes(x, u.q, [&](Batch w) { return xsimd::min(truncated(w * inverse + up), last) + low; });
  }

  // Q4_1, Q5_1: the range is cut into steps.
  COTERIE_INLINE static void cut_range(const IntegerShape& shape, const float* x, Integers32& u) {
    if (!is_finite(magnitude(x, u))) return;
    float low = Lanes<Isa>::load(x).fold(Smaller{});
    const float high = Lanes<Isa>::load(x).fold(Larger{});
    for (int i = 31; low == 0.0F && i >= 0; --i)
      if (x[i] == 0.0F) low = x[i];  // the first one's sign
    const float steps = static_cast<float>(shape.code_high);
    u.d = (high - low) / steps;
    u.m = low;
    if (!is_finite(u.d)) return;
    const Batch inverse(inverse_or_zero(u.d)), from(low), last(steps), half(0.5F);
    store_codes(x, u.q, [&](Batch w) { return xsimd::min(truncated((w - from) * inverse + half), last); });
  }

  // Q8_0: halves are rounded away from zero, and the codes belong to the scale before it is rounded to half
  // precision.
  COTERIE_INLINE static void round_to_bytes(const float* x, Integers32& u) {
    const float top = magnitude(x, u);
    u.d = top / 127.0F;
    if (!is_finite(u.d)) return;
    const Batch inverse(inverse_or_zero(u.d)), half(0.5F), last(127.0F), zero(0.0F);
    store_codes(x, u.q, [&](Batch w) {
      const Batch v = w * inverse, size = xsimd::abs(v), down = truncated(size);
      const Batch code = xsimd::min(down + xsimd::select(size - down >= half, Batch(1.0F), zero), last);
      return xsimd::select(v < zero, zero - code, code);
    });
  }

 private:
  struct Larger {
    template <class T>
    COTERIE_INLINE T operator()(T a, T b) const {
      return select_of(a > b, a, b);
    }
  };
  struct Smaller {
    template <class T>
    COTERIE_INLINE T operator()(T a, T b) const {
      return select_of(a < b, a, b);
    }
  };
  COTERIE_INLINE static float select_of(bool c, float a, float b) { return c ? a : b; }
  template <class Mask>
  COTERIE_INLINE static Batch select_of(Mask c, Batch a, Batch b) {
    return xsimd::select(c, a, b);
  }

  // The largest magnitude. Where it is no number, u is finished: zeros under a scale that is none.
  COTERIE_INLINE static float magnitude(const float* x, Integers32& u) {
    u = {};
    std::uint32_t top = 0;
    for (int i = 0; i < 32; ++i) {
      const std::uint32_t bits = bits_of(x[i]) & 0x7fffffffU;
      top = bits > top ? bits : top;
    }
    if (top < 0x7f800000U) return float_of(top);
    u.d = __builtin_nanf("");
    return u.d;
  }

  // 1 / d, or 0 where that is no number.
  COTERIE_INLINE static float inverse_or_zero(float d) {
    const float inverse = 1.0F / d;
    return is_finite(inverse) ? inverse : 0.0F;
  }

  // The integer below v, which is at least 0 and far from the end of the integers among floats.
  COTERIE_INLINE static Batch truncated(Batch v) {
    const Batch magic(0x1.8p23F), rounded = (v + magic) - magic;
    return rounded - xsimd::select(rounded > v, Batch(1.0F), Batch(0.0F));
  }

  template <class Code>
  COTERIE_INLINE static void store_codes(const float* x, std::int8_t* q, Code code) {
    alignas(64) std::int32_t codes[32];
    const Batch magic(0x1.8p23F);  // leaves an integer in the last bits
    for (int i = 0; i < 32; i += width)
      (as_ints<Isa>(code(Batch::load_unaligned(x + i)) + magic) - as_ints<Isa>(magic))
          .store_aligned(codes + i);
    for (int i = 0; i < 32; ++i) q[i] = static_cast<std::int8_t>(codes[i]);
  }
};

}  // namespace coterie
