// The tensors of one DeepSeek model, as views of the mapped file. Names are the roots of the GGUF names.
#pragma once

#include "device/cpu/feed_forward.h"
#include "models/deepseek/config.h"
#include "tensor/matrix.h"

#include <cstdint>
#include <vector>

namespace coterie::deepseek {

struct AttentionWeights {
  const float* attn_norm;       // [dim]
  Matrix attn_q_a, attn_q_b;    // dim -> q_lora_rank -> heads * (nope + rope); q_a absent without q_lora
  const float* attn_q_a_norm;   // [q_lora_rank]
  Matrix attn_q;                // dim -> heads * (nope + rope), without q_lora
  Matrix attn_kv_a_mqa;         // dim -> kv_lora_rank + rope
  const float* attn_kv_a_norm;  // [kv_lora_rank]
  Matrix attn_k_b;              // per head: nope -> kv_lora_rank (the transposed half of kv_b), or absent
  Matrix attn_v_b;              // per head: kv_lora_rank -> v
  Matrix attn_kv_b;             // kv_lora_rank -> heads * (nope + v): files from before the split, or absent
  Matrix attn_output;           // heads * v -> dim
};

struct LayerWeights {
  AttentionWeights attention;
  const float* ffn_norm;  // [dim]
  FeedForward dense;      // the first layers
  MoeWeights moe;         // the others
};

struct Weights {
  Matrix token_embd;  // vocabulary rows of dim
  std::vector<LayerWeights> layers;
  const float* output_norm;  // [dim]
  Matrix output;             // dim -> vocabulary
};

Weights read_weights(const gguf::Reader& file, Config& config);  // sets config.n_vocab; throws ModelError

}  // namespace coterie::deepseek
