#include "models/deepseek/weights.h"

#include "base/errors.h"
#include "models/tensors.h"

namespace coterie::deepseek {

namespace {

AttentionWeights read_attention(const Tensors& t, const Config& c, std::int64_t layer) {
  const auto name = [&](const char* root) { return block_name(layer, root); };
  const std::int64_t qk = c.nope + c.rope;
  AttentionWeights w{};
  w.attn_norm = t.vector(name("attn_norm.weight"), c.dim);
  if (c.q_lora_rank > 0) {
    w.attn_q_a = t.matrix(name("attn_q_a.weight"), c.dim, c.q_lora_rank);
    w.attn_q_a_norm = t.vector(name("attn_q_a_norm.weight"), c.q_lora_rank);
    w.attn_q_b = t.matrix(name("attn_q_b.weight"), c.q_lora_rank, c.n_heads * qk);
  } else {
    w.attn_q = t.matrix(name("attn_q.weight"), c.dim, c.n_heads * qk);
  }
  w.attn_kv_a_mqa = t.matrix(name("attn_kv_a_mqa.weight"), c.dim, c.kv_lora_rank + c.rope);
  w.attn_kv_a_norm = t.vector(name("attn_kv_a_norm.weight"), c.kv_lora_rank);
  if (t.has(name("attn_k_b.weight"))) {
    w.attn_k_b = t.matrix(name("attn_k_b.weight"), c.nope, c.kv_lora_rank, c.n_heads);
    w.attn_v_b = t.matrix(name("attn_v_b.weight"), c.kv_lora_rank, c.v_dim, c.n_heads);
  } else {
    w.attn_kv_b = t.matrix(name("attn_kv_b.weight"), c.kv_lora_rank, c.nope + c.v_dim, c.n_heads);
  }
  w.attn_output = t.matrix(name("attn_output.weight"), c.n_heads * c.v_dim, c.dim);
  return w;
}

MoeWeights read_moe(const Tensors& t, const Config& c, std::int64_t layer) {
  MoeWeights w{};
  w.ffn_gate_inp = t.matrix(block_name(layer, "ffn_gate_inp.weight"), c.dim, c.routing.n_experts);
  w.exp_probs_b = t.optional_vector(block_name(layer, "exp_probs_b.bias"), c.routing.n_experts);
  if (w.exp_probs_b == nullptr)  // early files leave the suffix out
    w.exp_probs_b = t.optional_vector(block_name(layer, "exp_probs_b"), c.routing.n_experts);
  w.experts = t.feed_forward(layer, "_exps", c.dim, c.expert_inner, c.routing.n_experts);
  if (c.shared_inner > 0) w.shared = t.feed_forward(layer, "_shexp", c.dim, c.shared_inner);
  return w;
}

}  // namespace

Weights read_weights(const gguf::Reader& file, Config& c) {
  const Tensors t(file);
  const gguf::TensorInfo* embedding = file.find_tensor("token_embd.weight");
  c.n_vocab = embedding == nullptr ? 0 : embedding->shape[1];
  Weights w{};
  w.token_embd = t.matrix("token_embd.weight", c.dim, c.n_vocab);
  for (std::int64_t layer = 0; layer < c.n_layers; ++layer) {
    LayerWeights l{};
    l.attention = read_attention(t, c, layer);
    l.ffn_norm = t.vector(block_name(layer, "ffn_norm.weight"), c.dim);
    if (layer < c.n_dense_layers)
      l.dense = t.feed_forward(layer, "", c.dim, c.dense_inner);
    else
      l.moe = read_moe(t, c, layer);
    w.layers.push_back(l);
  }
  w.output_norm = t.vector("output_norm.weight", c.dim);
  w.output = t.has("output.weight") ? t.matrix("output.weight", c.dim, c.n_vocab) : w.token_embd;
  return w;
}

}  // namespace coterie::deepseek
