// Grouped-query attention with a cache of keys and values: Llama, Qwen and most others.
//
//   q, k, v = W h (+ bias), q and k normalised per head where the model does, both rotated
//   out     = W_o of softmax(q . k / sqrt(head_dim)) v,   each key head shared by n_heads / n_kv_heads queries
//
// One form for both roles: neither chunking nor the role changes a bit.
#pragma once

#include "device/cpu/cpu.h"
#include "models/model.h"
#include "models/tensors.h"

#include <cstdint>
#include <vector>

namespace coterie {

enum class RopePairs { neighbours, halves };

struct AttentionConfig {
  std::int64_t dim, n_layers;
  std::int64_t n_heads, n_kv_heads;
  std::int64_t head_dim, v_dim;  // key_length, value_length
  std::int64_t rope;             // rotated part of a head, the first values
  RopePairs pairs;
  bool biased;      // q, k and v have a bias
  bool head_norms;  // q and k are normalised per head, before they are rotated
  float norm_eps;
  std::vector<float> inv_freq;  // [rope / 2]
};

struct GroupedAttentionWeights {
  const float* attn_norm;  // [dim]
  Matrix attn_q, attn_k, attn_v, attn_output;
  const float *q_bias, *k_bias, *v_bias;  // [rows of the matrix], null: none
  const float *q_norm, *k_norm;           // [head_dim], null: none
};

struct GroupedAttentionState {
  GroupedAttentionState(Cpu& cpu, const AttentionConfig& c, const StateOptions& o);
  std::vector<CacheRows*> caches();

  std::vector<CacheRows> keys;    // per layer [positions, kv_heads * head_dim]
  std::vector<CacheRows> values;  // per layer [positions, kv_heads * v_dim]
  Buffer<float> q, k, v;          // [T, heads, head_dim], [T, kv_heads, head_dim], [T, kv_heads, v_dim]
  Buffer<float> rope;             // [T, rope] cosines and sines
  Activations out;                // [T, heads * v_dim]
};

GroupedAttentionWeights read_attention(const Tensors& t, const AttentionConfig& c, std::int64_t layer);

// One layer: x += attention(norm(x)); h is overwritten, the step's rows of the cache are written. s.rope holds
// the step's table (rope_table).
struct GroupedAttention {
  const AttentionConfig& config;
  const GroupedAttentionWeights& weights;
  std::int64_t layer;
  void run(Cpu& cpu, GroupedAttentionState& s, const Step& step, Activations& h, float* x) const;

 private:
  void finish_heads(Cpu& cpu, GroupedAttentionState& s, const Step& step) const;
  void attend_heads(Cpu& cpu, GroupedAttentionState& s, const Step& step) const;
};

}  // namespace coterie
