// Products by oneDNN: F32 as they are, F16 widened to F32, BF16 by the processor's products of BF16, for which the inputs are
// rounded too, or widened where it has none.
#include "device/onednn/fast.h"

#include "formats/list.h"

#include <oneapi/dnnl/dnnl.hpp>

#include <omp.h>

#include <cstring>
#include <vector>

namespace coterie {

namespace {

using Desc = dnnl::memory::desc;
using Type = dnnl::memory::data_type;

// With fewer inputs the usual kernels are as fast (bench/README.md); F16 has to be worth its widening.
template <class F>
constexpr int fast_tokens = std::is_same_v<F, F16> ? 16 : 8;

// oneDNN starts no team of its own inside a parallel region; a team of one has none.
class OneThread {
 public:
  OneThread() { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_ = omp_get_max_threads();
};

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}
dnnl::stream& stream() {
  thread_local dnnl::stream own(engine());
  return own;
}

bool multiplies_bf16() {
  static const bool known = (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) &
                             static_cast<unsigned>(dnnl::cpu_isa::avx512_core_bf16)) ==
                            static_cast<unsigned>(dnnl::cpu_isa::avx512_core_bf16);
  return known;
}

// A row-major matrix of T.
template <class T>
struct Rectangle {
  const T* data;
  std::int64_t stride;
};

// This thread's space for n of T, one for each use.
enum class Use { inputs, weights };
template <class T, Use use>
T* space(std::int64_t n) {
  thread_local std::vector<T> own;
  if (own.size() < static_cast<std::size_t>(n)) own.resize(static_cast<std::size_t>(n));
  return own.data();
}

Rectangle<float> inputs(const RowsArgs& a) {
  if (a.token_of == nullptr)
    return {reinterpret_cast<const float*>(a.x), a.x_bytes / static_cast<std::int64_t>(sizeof(float))};
  float* x = space<float, Use::inputs>(a.n_tokens * a.n);
  for (int t = 0; t < a.n_tokens; ++t)
    std::memcpy(x + t * a.n, a.input(t), static_cast<std::size_t>(a.n) * sizeof(float));
  return {x, a.n};
}

// y = x w^T.
template <class T>
void multiply(const RowsArgs& a, Rectangle<T> x, Rectangle<T> w) {
  constexpr Type type = std::is_same_v<T, float> ? Type::f32 : Type::bf16;
  const Desc x_desc({a.n_tokens, a.n}, type, {x.stride, 1});
  const Desc w_desc({a.n, a.n_rows}, type, {1, w.stride});
  const Desc y_desc({a.n_tokens, a.n_rows}, Type::f32, {a.y_stride, 1});
  const dnnl::matmul product({dnnl::matmul::desc(x_desc, w_desc, y_desc), engine()});
  product.execute(stream(), {{DNNL_ARG_SRC, dnnl::memory(x_desc, engine(), const_cast<T*>(x.data))},
                             {DNNL_ARG_WEIGHTS, dnnl::memory(w_desc, engine(), const_cast<T*>(w.data))},
                             {DNNL_ARG_DST, dnnl::memory(y_desc, engine(), a.y)}});
}

template <class T>
Rectangle<T> weights(const RowsArgs& a) {
  return {reinterpret_cast<const T*>(a.w), a.row_bytes / static_cast<std::int64_t>(sizeof(T))};
}

void widen(const F16::Block* w, std::int64_t n, float* to) {
  kernels().half_to_float(reinterpret_cast<const std::uint16_t*>(w), n, to);
}
void widen(const BF16::Block* w, std::int64_t n, float* to) {
  for (std::int64_t i = 0; i < n; ++i) BF16::decode(w[i], to + i);
}

template <class F>
void multiply_widened(const RowsArgs& a) {
  float* w = space<float, Use::weights>(a.n_rows * a.n);
  for (int r = 0; r < a.n_rows; ++r)
    widen(reinterpret_cast<const typename F::Block*>(a.w + r * a.row_bytes), a.n, w + r * a.n);
  multiply<float>(a, inputs(a), {w, a.n});
}

// All inputs in BF16, one after another.
Rectangle<std::uint16_t> rounded_inputs(const RowsArgs& a) {
  std::uint16_t* to = space<std::uint16_t, Use::inputs>(a.n_tokens * a.n);
  const Desc from_row({a.n}, Type::f32, {1});
  const Desc to_row({a.n}, Type::bf16, {1});
  const dnnl::reorder round(dnnl::reorder::primitive_desc(engine(), from_row, engine(), to_row));
  for (int t = 0; t < a.n_tokens; ++t) {
    dnnl::memory from(from_row, engine(), const_cast<std::byte*>(a.input(t)));
    dnnl::memory row(to_row, engine(), to + t * a.n);
    round.execute(stream(), from, row);
  }
  return {to, a.n};
}

void multiply(const RowsArgs& a, std::type_identity<F32>) { multiply(a, inputs(a), weights<float>(a)); }
void multiply(const RowsArgs& a, std::type_identity<F16>) { multiply_widened<F16>(a); }
void multiply(const RowsArgs& a, std::type_identity<BF16>) {
  if (multiplies_bf16())
    multiply(a, rounded_inputs(a), weights<std::uint16_t>(a));
  else
    multiply_widened<BF16>(a);
}

// Whether oneDNN did it. A task must not throw; what the library cannot do, the usual kernels can.
template <class F>
bool multiplied(const RowsArgs& a) {
  try {
    const OneThread alone;
    multiply(a, std::type_identity<F>{});
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

template <class F>
void rows(const RowsArgs& a) {
  if (a.n_tokens < fast_tokens<F> || !multiplied<F>(a)) kernels().rows[index_of<F>](a);
}

}  // namespace

const Kernels* fast_kernels() {
  static const Kernels table = [] {
    Kernels k = kernels();
    k.isa = "onednn";
    k.rows[index_of<F32>] = rows<F32>;
    k.rows[index_of<F16>] = rows<F16>;
    k.rows[index_of<BF16>] = rows<BF16>;
    return k;
  }();
  return &table;
}

std::string fast_library() {
  const dnnl_version_t& v = *dnnl_version();
  return "oneDNN " + std::to_string(v.major) + "." + std::to_string(v.minor) + "." + std::to_string(v.patch);
}

}  // namespace coterie
