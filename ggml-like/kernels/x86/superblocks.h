// Superblocks (256 weights) on x86: 16 groups of 16, four times 64 bytes of codes.
//
//   isum = sum over g of scale[g] * (sum over group g of q x)   with q x in words, then words times words
//   msum = sum over g of min[g] * group_sum[g]
//
// Any format comes in through its integers; the specialisations in k_quants.h and iq_quants.h unpack in
// registers.
#pragma once

#include "kernels/x86/tile.h"

namespace coterie {

// How the codes are to be read:
//   signed_   as they are, within [-128, 127]
//   plain     unsigned, at most 127
//   offset    unsigned, and each stands for code - offset: the offset is taken off through the group sums
//   levels    unsigned, with the signs apart
enum class Codes { signed_, plain, offset, levels };

template <class Isa, class ScaleType>
struct Unpacked256 {
  typename Wide<Isa>::V q[4];
  typename Wide<Isa>::V scales[4];     // words, each for its lane
  typename Wide<Isa>::Signs signs[4];  // Codes::levels
  __m256i group_words;                 // minima; or scale * offset of Codes::offset
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
    W::spread(words(integers.scales), u.scales);
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
  using Unpacked = typename Unpack256<F, Isa>::Unpacked;
  static constexpr Codes codes = Unpack256<F, Isa>::codes;
  static constexpr int sum_offset = 0;

  COTERIE_INLINE static void unpack(const typename F::Block& b, Unpacked& u) { Unpack256<F, Isa>::run(b, u); }

  COTERIE_INLINE static void sums(const Unpacked& u, const Act256& x, __m256i& isum) {
    typename W::V acc = W::zero();
    for (int c = 0; c < 4; ++c) {
      const typename W::V v = W::load(x.q + 64 * c);
      if constexpr (codes == Codes::signed_)
        acc = W::add_products(acc, W::signed_pair_products(u.q[c], v), u.scales[c]);
      else if constexpr (codes == Codes::levels)
        acc = W::add_products(acc, W::pair_products(u.q[c], W::negate(v, u.signs[c])), u.scales[c]);
      else
        acc = W::add_products(acc, W::pair_products(u.q[c], v), u.scales[c]);
    }
    isum = W::fold(acc);
    if constexpr (codes == Codes::offset) isum = _mm256_sub_epi32(isum, group_products(u, x));
  }

  COTERIE_INLINE static void sums(const Unpacked& u, const Act256& x, __m256i& isum, __m256i& msum) {
    sums(u, x, isum);
    msum = group_products(u, x);
  }

 private:
  COTERIE_INLINE static __m256i group_products(const Unpacked& u, const Act256& x) {
    return _mm256_madd_epi16(u.group_words, Wide<Avx2>::load32(x.group_sums));
  }
};

}  // namespace coterie
