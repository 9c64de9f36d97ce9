#include "models/deepseek/deepseek.h"

#include "models/deepseek/attention.h"
#include "models/rope.h"

#include <algorithm>
#include <numeric>

namespace coterie::deepseek {

State::State(Cpu& cpu, const Config& c, const StateOptions& o)
    : x(o.max_tokens * c.dim, "activations"),
      h(o.max_tokens, c.dim, "activations"),
      q_a(o.max_tokens, c.q_lora_rank, "activations"),
      q(o.max_tokens * c.n_heads * (c.nope + c.rope), "activations"),
      kv_a(o.max_tokens * (c.kv_lora_rank + c.rope), "activations"),
      rope(o.max_tokens * c.rope, "activations"),
      attention_out(o.max_tokens, c.n_heads * c.v_dim, "activations"),
      q_latent(o.max_tokens * c.n_heads * (c.kv_lora_rank + c.rope), "activations"),
      out_latent(o.max_tokens * c.n_heads * c.kv_lora_rank, "activations"),
      part_latent(latent_parts(o.positions) * c.n_heads * c.kv_lora_rank, "activations"),
      part_states(latent_parts(o.positions) * c.n_heads, "activations"),
      latents(o.positions, c.kv_lora_rank, "decompressed cache"),
      router(cpu, c.routing, o.max_tokens),
      feed_forward(cpu, {.max_tokens = o.max_tokens,
                         .dim = c.dim,
                         .per_token = c.routing.n_used,
                         .n_experts = c.routing.n_experts,
                         .inner = c.expert_inner,
                         .shared_inner = std::max(c.dense_inner, c.shared_inner)}) {
  for (std::int64_t layer = 0; layer < c.n_layers; ++layer)
    cache.emplace_back(o.cache, o.positions, c.kv_lora_rank + c.rope, std::gcd(c.kv_lora_rank, c.rope));
  cpu.reserve_scratch(attention_scratch_floats(c, o.max_tokens));
  cpu.reserve_scratch(c.nope * c.kv_lora_rank);
  // matmul_heads quantises one head's input per worker.
  cpu.reserve_scratch(std::max(c.nope, c.kv_lora_rank) * 2);
}

DeepSeek::DeepSeek(const gguf::Reader& file)
    : config_(read_config(file)), weights_(read_weights(file, config_)) {
  sizes_ = {config_.n_vocab, config_.context_length};
}

std::unique_ptr<ModelState> DeepSeek::new_state(Cpu& cpu, const StateOptions& options) const {
  return std::make_unique<State>(cpu, config_, options);
}

void DeepSeek::forward(Cpu& cpu, ModelState& state, const Step& step) const {
  State& s = static_cast<State&>(state);
  const Config& c = config_;
  const auto n_tokens = static_cast<std::int64_t>(step.tokens.size());
  cpu.embed(weights_.token_embd, step.tokens, s.x.data());
  rope_table(c.inv_freq, step.position, n_tokens, s.rope.data());

  for (std::int64_t layer = 0; layer < c.n_layers; ++layer) {
    const LayerWeights& w = weights_.layers[static_cast<std::size_t>(layer)];
    attention_layer(cpu, w.attention, c, s, layer, step);
    cpu.rms_norm(s.x.data(), w.ffn_norm, c.norm_eps, n_tokens, s.h);
    if (layer < c.n_dense_layers)
      s.feed_forward.dense(cpu, w.dense, s.h, n_tokens, s.x.data());
    else
      s.feed_forward.moe(cpu,
                         {w.moe.experts, w.moe.shared.gate ? &w.moe.shared : nullptr,
                          s.router.choose(cpu, w.moe, s.h, layer, step)},
                         s.h, n_tokens, s.x.data());
  }
  if (step.n_logits == 0) return;
  const Span span(cpu.profile(), "head");
  cpu.rms_norm(s.x.data() + (n_tokens - step.n_logits) * c.dim, weights_.output_norm, c.norm_eps,
               step.n_logits, s.h);
  cpu.matmul({{weights_.output, step.logits, c.n_vocab}}, s.h, step.n_logits);
}

std::vector<CacheRows*> State::caches() {
  std::vector<CacheRows*> all;
  for (CacheRows& rows : cache) all.push_back(&rows);
  return all;
}

TokenCost DeepSeek::token_cost(std::int64_t position, CacheType cache) const {
  const Routing& r = config_.routing;
  TokenCost cost{.bytes = weights_.token_embd.row_bytes() + position * cache_bytes_per_position(cache)};
  cost.add_head(weights_.output);
  for (const LayerWeights& l : weights_.layers) {
    const AttentionWeights& a = l.attention;
    for (const Matrix* m : {&a.attn_q_a, &a.attn_q_b, &a.attn_q, &a.attn_kv_a_mqa, &a.attn_k_b, &a.attn_v_b,
                            &a.attn_kv_b, &a.attn_output, &l.dense.gate, &l.dense.up, &l.dense.down,
                            &l.moe.ffn_gate_inp, &l.moe.shared.gate, &l.moe.shared.up, &l.moe.shared.down})
      cost.add(*m);
    for (const Matrix* m : {&l.moe.experts.gate, &l.moe.experts.up, &l.moe.experts.down})
      cost.add_part(*m, r.n_used, r.n_experts);
  }
  return cost;
}

std::int64_t DeepSeek::cache_bytes_per_position(CacheType cache) const {
  return config_.n_layers * CacheRows::bytes(cache, config_.kv_lora_rank + config_.rope);
}

}  // namespace coterie::deepseek
