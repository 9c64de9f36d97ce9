// The codebook formats on NEON: points are looked up one by one, signs are spread from bits to bytes. The
// bytes are drawn in formats/iq2_xxs.h and so on.
#pragma once

#include "formats/grid_tables.h"
#include "formats/iq1_m.h"
#include "formats/iq2_s.h"
#include "formats/iq2_xs.h"
#include "formats/iq2_xxs.h"
#include "formats/iq3_s.h"
#include "formats/iq3_xxs.h"
#include "kernels/arm/superblocks.h"

namespace coterie {

// u.q from the magnitudes of eight weights, point(k), and their signs, signs(k), for k < 32.
template <class Point, class Signs>
COTERIE_INLINE void set_signed_points(NeonBlock256& u, Point point, Signs signs) {
  const uint8x16_t bit = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201U));
  for (int i = 0; i < 16; ++i) {
    const uint8x16_t magnitude = vcombine_u8(vcreate_u8(point(2 * i)), vcreate_u8(point(2 * i + 1)));
    const uint8x16_t sign = vcombine_u8(vdup_n_u8(static_cast<std::uint8_t>(signs(2 * i))),
                                        vdup_n_u8(static_cast<std::uint8_t>(signs(2 * i + 1))));
    const int8x16_t minus = as_signed(vtstq_u8(sign, bit));
    u.q[i] = vsubq_s8(veorq_s8(as_signed(magnitude), minus), minus);
  }
}
// Two points of four weights in one.
template <class Points>
COTERIE_INLINE std::uint64_t two_points(const Points& points, std::uint32_t first, std::uint32_t second) {
  return points.at[first] | static_cast<std::uint64_t>(points.at[second]) << 32;
}

// Scales 2 n + 1 from sixteen nibbles, or from eight, each twice.
COTERIE_INLINE int8x16_t odd(int8x16_t n) { return vorrq_s8(vaddq_s8(n, n), vdupq_n_s8(1)); }
COTERIE_INLINE int8x16_t odd_scales16(const std::uint8_t* bytes) {
  const uint8x8_t b = vld1_u8(bytes);
  const uint8x8_t low = vand_u8(b, vdup_n_u8(15));
  const uint8x8_t high = vshr_n_u8(b, 4);
  return odd(as_signed(vcombine_u8(vzip1_u8(low, high), vzip2_u8(low, high))));
}
// From the top of eight doublewords, `stride` bytes apart.
COTERIE_INLINE int8x16_t odd_top_scales(const std::uint8_t* bytes, int stride) {
  std::uint64_t scales = 0;
  for (int g = 0; g < 8; ++g)
    scales |= static_cast<std::uint64_t>(load_u32(bytes + stride * g) >> 28) << (8 * g);
  return odd(twice_each(static_cast<std::uint32_t>(scales), static_cast<std::uint32_t>(scales >> 32)));
}

template <>
struct NeonUnpack256<IQ2_XXS> {
  COTERIE_INLINE static void run(const IQ2_XXS::Block& b, NeonBlock256& u) {
    u.d = half(b.scale) * 0.125F;
    u.scales = odd_top_scales(b.groups[0].signs_and_scale, sizeof b.groups[0]);
    set_signed_points(
        u, [&](int k) { return iq2_xxs_points.at[b.groups[k / 4].points[k % 4]]; },
        [&](int k) { return even_signs(load_u32(b.groups[k / 4].signs_and_scale) >> (k % 4 * 7) & 127); });
  }
};

template <>
struct NeonUnpack256<IQ2_XS> {
  COTERIE_INLINE static void run(const IQ2_XS::Block& b, NeonBlock256& u) {
    u.d = half(b.scale) * 0.125F;
    u.scales = odd_scales16(b.scales);
    set_signed_points(
        u, [&](int k) { return iq2_xs_points.at[b.points[k] & 511U]; },
        [&](int k) { return even_signs(b.points[k] >> 9); });
  }
};

template <>
struct NeonUnpack256<IQ2_S> {
  COTERIE_INLINE static void run(const IQ2_S::Block& b, NeonBlock256& u) {
    u.d = half(b.scale) * 0.125F;
    u.scales = odd_scales16(b.scales);
    set_signed_points(
        u,
        [&](int k) {
          return iq2_s_points.at[b.points_low[k] | (b.points_high[k / 4] << 8 >> (k % 4 * 2) & 0x300)];
        },
        [&](int k) { return b.signs[k]; });
  }
};

template <>
struct NeonUnpack256<IQ3_XXS> {
  COTERIE_INLINE static void run(const IQ3_XXS::Block& b, NeonBlock256& u) {
    u.d = half(b.scale) * 0.25F;
    u.scales = odd_top_scales(b.signs_and_scales[0], 4);
    set_signed_points(
        u, [&](int k) { return two_points(iq3_xxs_points, b.points[2 * k], b.points[2 * k + 1]); },
        [&](int k) { return even_signs(load_u32(b.signs_and_scales[k / 4]) >> (k % 4 * 7) & 127); });
  }
};

template <>
struct NeonUnpack256<IQ3_S> {
  COTERIE_INLINE static void run(const IQ3_S::Block& b, NeonBlock256& u) {
    u.d = half(b.scale);
    const std::uint32_t nibbles = load_u32(b.scales);
    const uint8x8_t bytes = vcreate_u8(spread(nibbles));
    u.scales = odd(as_signed(vcombine_u8(vzip1_u8(bytes, bytes), vzip2_u8(bytes, bytes))));
    const auto index = [&](int k) -> std::uint32_t {
      return b.points_low[k] | (static_cast<std::uint32_t>(b.points_high[k / 8]) << 8 >> (k % 8) & 0x100);
    };
    set_signed_points(
        u, [&](int k) { return two_points(iq3_s_points, index(2 * k), index(2 * k + 1)); },
        [&](int k) { return b.signs[k]; });
  }

 private:
  // Eight nibbles to eight bytes.
  COTERIE_INLINE static std::uint64_t spread(std::uint32_t nibbles) {
    std::uint64_t v = nibbles;
    v = (v | v << 16) & 0x0000ffff0000ffffU;
    v = (v | v << 8) & 0x00ff00ff00ff00ffU;
    return (v | v << 4) & 0x0f0f0f0f0f0f0f0fU;
  }
};

// 8 level +- 1 from 8 (level + 1): less 7 or less 9.
template <class Index, class Minus>
COTERIE_INLINE void set_iq1_points(NeonBlock256& u, Index index, Minus minus) {
  const auto point = [&](int k) {
    return vsub_s8(vcreate_s8(iq1_points.at[index(k)]), vdup_n_s8(minus(k) ? 9 : 7));
  };
  for (int i = 0; i < 16; ++i) u.q[i] = vcombine_s8(point(2 * i), point(2 * i + 1));
}

template <>
struct NeonUnpack256<IQ1_S> {
  COTERIE_INLINE static void run(const IQ1_S::Block& b, NeonBlock256& u) {
    u.d = half(b.scale) * 0.125F;
    const uint16x8_t groups = vld1q_u16(b.groups);
    const uint8x8_t scales = vand_u8(vmovn_u16(vshrq_n_u16(groups, 12)), vdup_n_u8(7));
    u.scales = odd(as_signed(vcombine_u8(vzip1_u8(scales, scales), vzip2_u8(scales, scales))));
    set_iq1_points(
        u, [&](int k) { return b.points_low[k] | (b.groups[k / 4] << 8 >> (k % 4 * 3) & 0x700); },
        [&](int k) { return b.groups[k / 4] >> 15 != 0; });
  }
};

template <>
struct NeonUnpack256<IQ1_M> {
  COTERIE_INLINE static void run(const IQ1_M::Block& b, NeonBlock256& u) {
    u.d = half(IQ1_M::scale_of(b)) * 0.125F;
    std::int8_t scales[16];
    for (int g = 0; g < 16; ++g) scales[g] = static_cast<std::int8_t>(b.scales[g / 4] >> (g % 4 * 3) & 7);
    u.scales = odd(vld1q_s8(scales));
    const auto bits = [&](int k) { return b.points_high[k / 2] >> (k % 2 * 4); };
    set_iq1_points(
        u, [&](int k) { return b.points_low[k] | (bits(k) & 7) << 8; },
        [&](int k) { return (bits(k) & 8) != 0; });
  }
};

}  // namespace coterie
