// Superblocks (256 weights) on x86: 16 groups of 16, four times 64 bytes of codes.
//
//   isum = sum over g of scale[g] * (sum over group g of q x)
//   msum = sum over g of min[g] * group_sum[g]
//
// Any format comes in through its integers; the specialisations in k_quants.h and iq_quants.h unpack in
// registers.
#pragma once

#include "kernels/x86/tile.h"

namespace coterie {

// How the codes are to be read:
//   signed_   as they are, within [-128, 127]
//   plain     unsigned, at most 64
//   offset    unsigned, at most 64, and each stands for code - offset: the offset is taken off through the group sums
//   levels        unsigned, at most 64, with the signs apart
enum class Codes { signed_, plain, offset, levels };

template <class Isa, class ScaleType>
struct Unpacked256 {
  typename Wide<Isa>::V q[4];
  typename Wide<Isa>::Scales scales;
  typename Wide<Isa>::V pair_scales[4];  // Codes::signed_ have these instead
  typename Wide<Isa>::Signs signs[4];    // Codes::levels
  __m256i group_words;                   // minima; or scale * -offset
  ScaleType d;
  ScaleType m;
};

// The general version; a specialisation has the same two members.
template <class F, class Isa>
struct Unpack256 {
  using Unpacked = Unpacked256<Isa, float>;
  static constexpr Codes codes = Codes::signed_;
  COTERIE_INLINE static void run(const typename F::Block& b, Unpacked& u) {
    using W = Wide<Isa>;
    Integers256 integers;
    F::unpack(b, integers);
    u.d = integers.d;
    for (int c = 0; c < 4; ++c) u.q[c] = W::load(integers.q + 64 * c);
    W::spread(words(integers.scales), u.pair_scales);
    if constexpr (F::has_mins) {
      u.m = integers.dmin;
      u.group_words = words(integers.mins);
    }
  }

 private:
  COTERIE_INLINE static __m256i words(const std::int8_t* bytes) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)));
  }
};

template <class F, class Isa>
requires std::is_same_v<typename F::Integers, Integers256>
struct BlockOps<F, Isa> {
  using W = Wide<Isa>;
  using V = typename W::V;
  using Products = V;
  using Unpacked = typename Unpack256<F, Isa>::Unpacked;
  static constexpr Codes codes = Unpack256<F, Isa>::codes;
  static constexpr int sum_offset = 0;

  COTERIE_INLINE static void unpack(const typename F::Block& b, Unpacked& u) { Unpack256<F, Isa>::run(b, u); }

  // Sixteen doublewords that add up to isum, from 256 values and their group sums.
  COTERIE_INLINE static V products(const Unpacked& u, const std::int8_t* x, const std::int16_t* group_sums) {
    V acc = W::zero();
    if constexpr (codes == Codes::signed_) {
      for (int c = 0; c < 4; ++c)
        acc = W::add_products(acc, W::signed_pair_products(u.q[c], W::load(x + 64 * c)), u.pair_scales[c]);
      return acc;
    }
    if constexpr (codes == Codes::offset) acc = W::widen(group_products(u, group_sums));
    V each[4];
    for (int c = 0; c < 4; ++c) {
      V v = W::load(x + 64 * c);
      if constexpr (codes == Codes::levels) v = W::negate(v, u.signs[c]);
      each[c] = W::products(u.q[c], v);
    }
    return W::weigh(acc, each, u.scales);
  }

  // Eight doublewords that add up to msum; or to what an offset has to add to isum.
  COTERIE_INLINE static __m256i group_products(const Unpacked& u, const std::int16_t* group_sums) {
    return W::add_products(_mm256_setzero_si256(), u.group_words, W::load32(group_sums));
  }

  COTERIE_INLINE static void sums(const Unpacked& u, const Act256& x, __m256i& isum) {
    isum = W::fold(products(u, x.q, x.group_sums));
  }
  COTERIE_INLINE static void sums(const Unpacked& u, const Act256& x, __m256i& isum, __m256i& msum) {
    sums(u, x, isum);
    msum = group_products(u, x.group_sums);
  }
};

}  // namespace coterie
