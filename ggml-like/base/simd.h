// What an instruction set offers to the kernels: one tag type per ISA, with the float vector and the few
// operations whose spelling differs. The one place that knows intrinsics for floats, xsimd's versions and
// which flags a file was built with.
//
// lookup16(table, index) is table[index % 16] per lane, for an aligned table of 16; at_most(a, b) has bit i set
// where a <= b in lane i; least(a) is the smallest lane.
//
// fma is one rounding on every ISA: the instruction, or arithmetic in double that provably gives the same
// bits. It is a member of the tag so that it cannot be mistaken for xsimd::fma, which is a multiply and an
// add in some versions.
#pragma once

#include "base/half.h"
#include "base/inline.h"

#include <xsimd/xsimd.hpp>

#include <cstdint>
#include <utility>

namespace coterie {

#if defined(__SSE4_2__)

// The compiler must take the vector register as changed: for loops that measure.
template <class Register>
COTERIE_INLINE void touch(Register& r) {
  asm volatile("" : "+x"(r));
}

// Baseline x86-64-v2, which has neither fma nor half precision.
struct Generic {
  static constexpr const char* name = "generic";
  using Batch = xsimd::batch<float, xsimd::sse4_2>;
  using Ints = xsimd::batch<std::int32_t, xsimd::sse4_2>;

  COTERIE_INLINE static float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }

  COTERIE_INLINE static Batch fma(Batch a, Batch b, Batch c) {
    const __m128 low = fma_in_double(_mm_cvtps_pd(a), _mm_cvtps_pd(b), _mm_cvtps_pd(c));
    const __m128 high = fma_in_double(upper(a), upper(b), upper(c));
    return _mm_movelh_ps(low, high);
  }

  COTERIE_INLINE static Batch load_half(const std::uint16_t* p) {
    return _mm_setr_ps(half_to_float(p[0]), half_to_float(p[1]), half_to_float(p[2]), half_to_float(p[3]));
  }

  COTERIE_INLINE static void store_half(Batch x, std::uint16_t* p) {
    alignas(16) float f[4];
    x.store_aligned(f);
    for (int i = 0; i < 4; ++i) p[i] = float_to_half(f[i]);
  }

  COTERIE_INLINE static Batch load_bf16(const std::uint16_t* p) {
    const __m128i wide = _mm_cvtepu16_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
    return _mm_castsi128_ps(_mm_slli_epi32(wide, 16));
  }

  COTERIE_INLINE static Batch lookup16(const float* table, Ints index) {
    alignas(16) std::int32_t i[4];
    index.store_aligned(i);
    return _mm_setr_ps(table[i[0] & 15], table[i[1] & 15], table[i[2] & 15], table[i[3] & 15]);
  }

  COTERIE_INLINE static std::uint32_t at_most(Batch a, Batch b) {
    return static_cast<std::uint32_t>(_mm_movemask_ps(_mm_cmple_ps(a, b)));
  }

  COTERIE_INLINE static float least(Batch a) {
    const __m128 two = _mm_min_ps(a, _mm_movehl_ps(a, a));
    return _mm_cvtss_f32(_mm_min_ss(two, _mm_movehdup_ps(two)));
  }

 private:
  COTERIE_INLINE static __m128d upper(__m128 a) { return _mm_cvtps_pd(_mm_movehl_ps(a, a)); }

  // The product of two floats is exact in double. The sum is rounded to odd: when it was inexact (its error
  // e, by Knuth's two-sum, is not zero) and its last bit is even, step to the odd neighbour on the exact
  // value's side. Rounding that to float equals rounding the exact value, since 53 >= 24 + 2 (Boldo and
  // Melquiond, "When double rounding is odd"). Infinities and NaN give e = NaN and are left alone.
  COTERIE_INLINE static __m128 fma_in_double(__m128d a, __m128d b, __m128d c) {
    const __m128d p = _mm_mul_pd(a, b);
    const __m128d s = _mm_add_pd(p, c);
    const __m128d c_part = _mm_sub_pd(s, p);
    const __m128d e = _mm_add_pd(_mm_sub_pd(p, _mm_sub_pd(s, c_part)), _mm_sub_pd(c, c_part));
    const __m128d inexact = _mm_and_pd(_mm_cmpneq_pd(e, _mm_setzero_pd()), _mm_cmpord_pd(e, e));
    const __m128i bits = _mm_castpd_si128(s);
    const __m128i even = _mm_cmpeq_epi64(_mm_and_si128(bits, _mm_set1_epi64x(1)), _mm_setzero_si128());
    const __m128i signs = _mm_srai_epi32(_mm_castpd_si128(_mm_xor_pd(e, s)), 31);
    const __m128i step =
        _mm_or_si128(_mm_shuffle_epi32(signs, 0xf5), _mm_set1_epi64x(1));  // away from 0, or -1
    const __m128i taken = _mm_and_si128(step, _mm_and_si128(even, _mm_castpd_si128(inexact)));
    return _mm_cvtpd_ps(_mm_castsi128_pd(_mm_add_epi64(bits, taken)));
  }
};

#elif defined(__ARM_NEON)

template <class Register>
COTERIE_INLINE void touch(Register& r) {
  asm volatile("" : "+w"(r));
}

struct Generic {
  static constexpr const char* name = "generic";
  using Batch = xsimd::batch<float, xsimd::neon64>;
  using Ints = xsimd::batch<std::int32_t, xsimd::neon64>;

  COTERIE_INLINE static float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
  COTERIE_INLINE static Batch fma(Batch a, Batch b, Batch c) { return vfmaq_f32(c, a, b); }
  COTERIE_INLINE static Batch load_half(const std::uint16_t* p) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
  }
  COTERIE_INLINE static void store_half(Batch x, std::uint16_t* p) {
    vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(x)));
  }
  COTERIE_INLINE static Batch load_bf16(const std::uint16_t* p) {
    return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16));
  }
  COTERIE_INLINE static Batch lookup16(const float* table, Ints index) {
    alignas(16) std::int32_t i[4];
    index.store_aligned(i);
    const float32x4_t found = {table[i[0] & 15], table[i[1] & 15], table[i[2] & 15], table[i[3] & 15]};
    return found;
  }
  COTERIE_INLINE static std::uint32_t at_most(Batch a, Batch b) {
    const uint32x4_t bit = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(vcleq_f32(a, b), bit));
  }
  COTERIE_INLINE static float least(Batch a) { return vminvq_f32(a); }
};

// The same vectors; kernels may also use NEON's integers, its dot products of bytes, its products of small
// matrices.
struct Neon : Generic {
  static constexpr const char* name = "neon";
};
#if defined(__ARM_FEATURE_DOTPROD)
struct NeonDot : Neon {
  static constexpr const char* name = "neon-dot";
};
#if defined(__ARM_FEATURE_MATMUL_INT8)
struct NeonI8mm : NeonDot {
  static constexpr const char* name = "neon-i8mm";
};
#endif
#endif

#endif

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)

struct Avx2 {
  static constexpr const char* name = "avx2";
  using Batch = xsimd::batch<float, xsimd::fma3<xsimd::avx2>>;
  using Ints = xsimd::batch<std::int32_t, xsimd::fma3<xsimd::avx2>>;

  COTERIE_INLINE static float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
  COTERIE_INLINE static Batch fma(Batch a, Batch b, Batch c) { return _mm256_fmadd_ps(a, b, c); }
  COTERIE_INLINE static Batch load_half(const std::uint16_t* p) { return _mm256_cvtph_ps(load16(p)); }
  COTERIE_INLINE static void store_half(Batch x, std::uint16_t* p) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
  }
  COTERIE_INLINE static Batch load_bf16(const std::uint16_t* p) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load16(p)), 16));
  }
  COTERIE_INLINE static Batch lookup16(const float* table, Ints index) {
    const __m256 low = _mm256_permutevar8x32_ps(_mm256_load_ps(table), index);
    const __m256 high = _mm256_permutevar8x32_ps(_mm256_load_ps(table + 8), index);
    return _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(index, 28)));
  }
  COTERIE_INLINE static std::uint32_t at_most(Batch a, Batch b) {
    return static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_LE_OQ)));
  }
  COTERIE_INLINE static float least(Batch a) {
    return Generic::least(_mm_min_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1)));
  }

 private:
  COTERIE_INLINE static __m128i load16(const void* p) {
    return _mm_loadu_si128(static_cast<const __m128i*>(p));
  }
};

#endif

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)

struct Avx512 {
  static constexpr const char* name = "avx512";
  using Batch = xsimd::batch<float, xsimd::avx512bw>;
  using Ints = xsimd::batch<std::int32_t, xsimd::avx512bw>;

  COTERIE_INLINE static float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
  COTERIE_INLINE static Batch fma(Batch a, Batch b, Batch c) { return _mm512_fmadd_ps(a, b, c); }
  COTERIE_INLINE static Batch load_half(const std::uint16_t* p) { return _mm512_cvtph_ps(load32(p)); }
  COTERIE_INLINE static void store_half(Batch x, std::uint16_t* p) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
  }
  COTERIE_INLINE static Batch load_bf16(const std::uint16_t* p) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(load32(p)), 16));
  }
  COTERIE_INLINE static Batch lookup16(const float* table, Ints index) {
    return _mm512_permutexvar_ps(index, _mm512_load_ps(table));
  }
  COTERIE_INLINE static std::uint32_t at_most(Batch a, Batch b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ);
  }
  COTERIE_INLINE static float least(Batch a) { return _mm512_reduce_min_ps(a); }

 private:
  COTERIE_INLINE static __m256i load32(const void* p) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(p));
  }
};

#if defined(__AVX512VNNI__)
// The same vectors; kernels may also use the byte dot products.
struct Avx512Vnni : Avx512 {
  static constexpr const char* name = "avx512vnni";
};
#if defined(__AVX512VBMI__)
// Kernels may also permute tables of bytes.
struct Avx512Vbmi : Avx512Vnni {
  static constexpr const char* name = "avx512vbmi";
};
#endif
#endif

#endif

// The bits of a vector under the other type; written so because xsimd changed the signature of its
// bitwise_cast.
template <class Isa>
COTERIE_INLINE typename Isa::Ints as_ints(typename Isa::Batch x) {
  using Float = typename Isa::Batch::register_type;
  using Int = typename Isa::Ints::register_type;
  return typename Isa::Ints(__builtin_bit_cast(Int, static_cast<Float>(x)));
}

template <class Isa>
COTERIE_INLINE typename Isa::Batch as_floats(typename Isa::Ints x) {
  using Float = typename Isa::Batch::register_type;
  using Int = typename Isa::Ints::register_type;
  return typename Isa::Batch(__builtin_bit_cast(Float, static_cast<Int>(x)));
}

// The 32 lanes in which every float reduction runs: element i belongs to lane i % 32 on every ISA, and fold
// joins the lanes by one tree, l with l + 16, then 8, 4, 2, 1. How many registers hold them is nobody's
// business.
template <class Isa>
struct Lanes {
  using Batch = typename Isa::Batch;
  static constexpr int width = static_cast<int>(Batch::size);
  static constexpr int count = 32;
  static constexpr int n = count / width;
  Batch v[n];

  // f(i) for every register, i a constant: so the compiler sees single registers, where a loop over an array
  // makes g++ 12 keep them in memory.
  template <class F>
  COTERIE_INLINE static void each(F f) {
    [&]<int... i>(std::integer_sequence<int, i...>) { (f(std::integral_constant<int, i>{}), ...); }
    (std::make_integer_sequence<int, n>{});
  }

  COTERIE_INLINE static Lanes broadcast(float value) {
    Lanes l;
    each([&](auto i) { l.v[i] = Batch(value); });
    return l;
  }

  COTERIE_INLINE static Lanes load(const float* p) {
    Lanes l;
    each([&](auto i) { l.v[i] = Batch::load_unaligned(p + i * width); });
    return l;
  }

  // The last m < 32 elements; the other lanes get `padding`.
  COTERIE_INLINE static Lanes load_part(const float* p, int m, float padding) {
    alignas(64) float full[count];
    for (int i = 0; i < count; ++i) full[i] = i < m ? p[i] : padding;
    return load(full);
  }

  // *this = a * b + *this
  COTERIE_INLINE void fma(const Lanes& a, const Lanes& b) {
    each([&](auto i) { v[i] = Isa::fma(a.v[i], b.v[i], v[i]); });
  }

  template <class Op>
  COTERIE_INLINE float fold(Op op) const {
    Lanes l = *this;
    for (int half = n / 2; half > 0; half /= 2)
      for (int i = 0; i < half; ++i) l.v[i] = op(l.v[i], l.v[i + half]);
    return fold_batch<width / 2>(l.v[0], op);
  }

 private:
  using Register = typename Batch::register_type;

  // Lane 0 of what the halves of a batch make, then the halves of those; the other lanes are of no account.
  template <int half, class Op>
  COTERIE_INLINE static float fold_batch(Batch b, Op op) {
    const Register lanes = b;
    if constexpr (half == 0)
      return lanes[0];
    else
      return fold_batch<half / 2>(op(b, upper<half>(lanes, std::make_integer_sequence<int, width>{})), op);
  }
  template <int half, int... i>
  COTERIE_INLINE static Batch upper(Register r, std::integer_sequence<int, i...>) {
    return Batch(Register(__builtin_shufflevector(r, r, (i + half) % width...)));
  }
};

}  // namespace coterie
