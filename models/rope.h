// Rotary position embedding on neighbouring pairs (2i, 2i + 1), as DeepSeek stores them and as GGUF stores
// Llama:
//
//   x[2i] , x[2i+1]  ->  x[2i] cos - x[2i+1] sin , x[2i] sin + x[2i+1] cos,   angle = position * inv_freq[i]
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
void rotate(const float* table, std::int64_t n_pairs, float* x);

}  // namespace coterie
