// The kernel table: pure loops on pointers, one table per instruction set, all bit-equal.
//
// Every isa_<name>.cpp fills one Kernels from the same templates; a specialisation for an ISA must give the
// same bits as the generic version (tests/kernels compares bit patterns). Rows are whole blocks, validated at
// load: no tails.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace coterie {

constexpr int max_formats = 32;

// n weights, whole blocks, as FormatInfo::encode; nullptr where the format has no encoder.
using Encode = void (*)(const float* w, const float* importance, std::int64_t n, std::byte* blocks);

// y[t * y_stride + r] = dot(row r of w, x[t]) for r < n_rows, t < n_tokens.
// Each element is one float accumulator over the blocks in ascending order (see formats/*.h, accumulate);
// F32, F16 and BF16 rows use 32 lanes of fma and a fixed tree instead.
struct RowsArgs {
  const std::byte* w;      // rows of blocks
  std::int64_t row_bytes;  // from one row to the next
  int n_rows;
  const std::byte* x;    // quantised activations (Act256 / Act32) or floats
  std::int64_t x_bytes;  // from one token to the next
  int n_tokens;
  std::int64_t n;  // row length in weights, a multiple of the format's block size
  float* y;
  std::int64_t y_stride;          // in floats, from one token to the next
  const int* token_of = nullptr;  // x of token t is number token_of[t]; nullptr: number t

  const std::byte* input(int t) const { return x + (token_of == nullptr ? t : token_of[t]) * x_bytes; }
};

// What a query carries from one block of positions to the next (kernels/vector_ops.h, softmax).
struct SoftmaxState {
  float max = -__builtin_inff();
  float sum = 0;
};

// y[t][c] = y[t][c] * keep[t] + sum over positions p of weights[t][p] * v[p][c], v in Q8_0, c < n.
// For each token and block of 32 columns the 64 products weight * scale become bytes as activations do
// (formats/activation.h), so that the sum over positions is exact: y = fma(scale of those, float(isum), y * keep).
constexpr int mix_positions = 64;
struct MixArgs {
  const std::byte* v;    // rows of blocks whose scales are not negative
  std::int64_t v_bytes;  // from one position to the next
  int n_positions;       // at most mix_positions
  const float* weights;  // [n_tokens, mix_positions]: not negative, 0 from n_positions on
  const float* keep;     // [n_tokens]
  int n_tokens;
  std::int64_t n;  // columns, a multiple of 32
  float* y;
  std::int64_t y_stride;  // in floats, from one token to the next
};

struct Kernels {
  const char* isa;                                                          // as in COTERIE_ISA
  bool (*runnable)();                                                       // this CPU can execute it
  void (*rows[max_formats])(const RowsArgs&);                               // by FormatInfo::index
  const Encode* encode;                                                     // by FormatInfo::index
  void (*quantize_act256)(const float* x, std::int64_t n, std::byte* out);  // n values to n / 256 Act256
  void (*quantize_act32)(const float* x, std::int64_t n, std::byte* out);

  // Vector operations (kernels/vector_ops.h); element-wise ones in any order, reductions over 32 lanes and a
  // fixed tree.
  float (*dot)(const float* a, const float* b, std::int64_t n);
  float (*sum)(const float* x, std::int64_t n);
  float (*max)(const float* x, std::int64_t n);
  void (*rms_norm)(const float* x, const float* weight, std::int64_t n, float eps, float* y);
  void (*swiglu)(const float* gate, const float* up, std::int64_t n, float* y);  // y = silu(gate) * up
  void (*add)(const float* x, std::int64_t n, float* y);                         // y += x
  void (*axpy)(float a, const float* x, std::int64_t n, float* y);               // y = fma(a, x, y)
  void (*scale)(float a, std::int64_t n, float* y);                              // y *= a
  void (*exp_minus)(float m, std::int64_t n, float* y);                          // y = exp(y - m)
  void (*sigmoid)(std::int64_t n, float* y);
  void (*half_to_float)(const std::uint16_t* x, std::int64_t n, float* y);
  void (*q8_0_to_float)(const std::byte* blocks, std::int64_t n, float* y);
  void (*q4_0_to_q8_0)(const std::byte* blocks, std::int64_t n,
                       std::byte* out);  // the same values; no scale negative
  void (*float_to_half)(const float* x, std::int64_t n, std::uint16_t* y);
  // One query's scores of n more positions become weights x = exp(scale * x - r.max); returns by how much the earlier
  // ones' values shrink.
  float (*softmax)(float* x, std::int64_t n, float scale, SoftmaxState& r);
  // y[c][r] = x[r][c] for r < n_rows, c < n_cols; strides in floats.
  void (*transpose)(const float* x, std::int64_t x_stride, int n_rows, int n_cols, float* y,
                    std::int64_t y_stride);
  void (*mix)(const MixArgs& a);
  // y[t][c] = sum over d ascending of x[t][d] * w[d][c], one fma chain per element: products across block
  // rows.
  void (*outer)(const float* x, std::int64_t x_stride, int n_tokens, const float* w, std::int64_t w_stride,
                int n_inner, int n_cols, float* y, std::int64_t y_stride);

  // Multiplies and adds in registers only, and returns how many of both (kernels/burst.h).
  std::int64_t (*burst_bytes)(std::int64_t rounds);
  std::int64_t (*burst_floats)(std::int64_t rounds);
};

std::span<const Kernels* const> all_kernels();  // widest first, generic last
// The widest table this CPU can run, or the one that COTERIE_ISA names.
// Throws UsageError when that name is unknown or cannot run here.
const Kernels& kernels();
const Kernels& select_kernels(const char* wanted);  // nullptr or "": the widest; same errors

}  // namespace coterie
