// Rotary position embedding on pairs (a, b) of a head's values:
//
//   a, b  ->  a cos - b sin, a sin + b cos,   angle of pair i = position * inv_freq[i]
//
// The pairs are neighbours (2i, 2i + 1), as DeepSeek stores them and as GGUF stores Llama, or from the two
// halves (i, i + n/2): Qwen.
//
// Frequencies: plain; YaRN (arXiv 2309.00071, as the DeepSeek-V3 reference computes it: the ramp holds for
// every length); or divided by the factors that a file brings (rope_freqs.weight, Llama 3).
#pragma once

#include <cstdint>
#include <vector>

namespace coterie {

struct YarnScaling {
  float factor;  // context extension, 1: none
  float original_context;
  float beta_fast, beta_slow;
};

// inv_freq[i] for i < dim / 2, dim even.
std::vector<float> plain_frequencies(std::int64_t dim, float base);
std::vector<float> yarn_frequencies(std::int64_t dim, float base, const YarnScaling& yarn);

// cos and sin for consecutive positions: cos at [token][2i], sin at [token][2i + 1].
void rope_table(const std::vector<float>& inv_freq, std::int64_t position, std::int64_t n_tokens,
                float* table);
// Rotates x[0 .. 2 * n_pairs) by one token's row of the table.
void rotate(const float* table, std::int64_t n_pairs, float* x);         // neighbours
void rotate_halves(const float* table, std::int64_t n_pairs, float* x);  // i and i + n_pairs

}  // namespace coterie
