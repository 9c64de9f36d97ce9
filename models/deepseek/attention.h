// Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434 section 2.1). The cache holds, per position, one
// latent c of kv_lora_rank values and one rotated key part shared by all heads:
//
//   k[head] = [W_k[head] c, k_rope]      v[head] = W_v[head] c      scores = q[head] . k[head] *
//   attention_scale
//
// Absorbed (produced tokens):   q . (W_k c) = (W_k^T q) . c, so scores and sums are taken over the latent
// itself and W_v is
//                               applied once per head: few operations, one read of the cache.
// Decompressed (given tokens):  keys and values of every head are rebuilt block by block: more operations per
// position, far
//                               fewer per token when many tokens share them.
// The form depends on the token's role only, so neither chunking nor batching changes a bit. A cache in bytes is never
// widened for the absorbed form; for the other one, rebuilt keys and values become bytes again.
#pragma once

#include "models/deepseek/state.h"
#include "models/deepseek/weights.h"

namespace coterie::deepseek {

// x += attention(norm(x)); writes the step's rows of the layer's cache.
void attention_layer(Cpu& cpu, const AttentionWeights& w, const Config& c, State& s, std::int64_t layer,
                     const Step& step);
// In how many parts the absorbed form looks at so many positions.
std::int64_t latent_parts(std::int64_t positions);
std::int64_t attention_scratch_floats(const Config& c, std::int64_t max_tokens);

}  // namespace coterie::deepseek
