#include "models/grouped_attention.h"

#include "device/cpu/attention.h"
#include "models/rope.h"

#include <algorithm>

namespace coterie {

GroupedAttentionState::GroupedAttentionState(Cpu& cpu, const AttentionConfig& c, const StateOptions& o)
    : q(o.max_tokens * c.n_heads * c.head_dim, "activations"),
      k(o.max_tokens * c.n_kv_heads * c.head_dim, "activations"),
      v(o.max_tokens * c.n_kv_heads * c.v_dim, "activations"),
      rope(o.max_tokens * c.rope, "activations"),
      out(o.max_tokens, c.n_heads * c.v_dim, "activations") {
  for (std::int64_t layer = 0; layer < c.n_layers; ++layer) {
    keys.emplace_back(o.cache, o.positions, c.n_kv_heads * c.head_dim, c.head_dim);
    values.emplace_back(o.cache, o.positions, c.n_kv_heads * c.v_dim, c.v_dim);
  }
  cpu.reserve_scratch(attention_block * (c.head_dim + c.v_dim) +
                      attention_scratch(std::max<std::int64_t>(attention_batch, c.n_heads / c.n_kv_heads),
                                        c.head_dim, c.v_dim));
}

std::vector<CacheRows*> GroupedAttentionState::caches() {
  std::vector<CacheRows*> all;
  for (std::vector<CacheRows>* of_layers : {&keys, &values})
    for (CacheRows& rows : *of_layers) all.push_back(&rows);
  return all;
}

GroupedAttentionWeights read_attention(const Tensors& t, const AttentionConfig& c, std::int64_t layer) {
  const auto name = [&](const char* root) { return block_name(layer, root); };
  GroupedAttentionWeights w{};
  w.attn_norm = t.vector(name("attn_norm.weight"), c.dim);
  w.attn_q = t.matrix(name("attn_q.weight"), c.dim, c.n_heads * c.head_dim);
  w.attn_k = t.matrix(name("attn_k.weight"), c.dim, c.n_kv_heads * c.head_dim);
  w.attn_v = t.matrix(name("attn_v.weight"), c.dim, c.n_kv_heads * c.v_dim);
  w.attn_output = t.matrix(name("attn_output.weight"), c.n_heads * c.v_dim, c.dim);
  if (c.biased) {
    w.q_bias = t.vector(name("attn_q.bias"), w.attn_q.rows);
    w.k_bias = t.vector(name("attn_k.bias"), w.attn_k.rows);
    w.v_bias = t.vector(name("attn_v.bias"), w.attn_v.rows);
  }
  if (c.head_norms) {
    w.q_norm = t.vector(name("attn_q_norm.weight"), c.head_dim);
    w.k_norm = t.vector(name("attn_k_norm.weight"), c.head_dim);
  }
  return w;
}

// Bias, norm and rotation of every token's heads; keys and values go to the cache.
void GroupedAttention::finish_heads(Cpu& cpu, GroupedAttentionState& s, const Step& step) const {
  const AttentionConfig& c = config;
  const Kernels& kernels = cpu.kernels();
  const auto finish = [&](const float* table, const float* norm, std::int64_t n_heads, float* x) {
    for (float* head = x; head != x + n_heads * c.head_dim; head += c.head_dim) {
      if (norm != nullptr) kernels.rms_norm(head, norm, c.head_dim, c.norm_eps, head);
      (c.pairs == RopePairs::halves ? rotate_halves : rotate)(table, c.rope / 2, head);
    }
  };
  cpu.team().run(static_cast<int>(step.tokens.size()), [&](int token, int) {
    float* q = s.q.data() + token * weights.attn_q.rows;
    float* k = s.k.data() + token * weights.attn_k.rows;
    float* v = s.v.data() + token * weights.attn_v.rows;
    if (c.biased) {
      kernels.add(weights.q_bias, weights.attn_q.rows, q);
      kernels.add(weights.k_bias, weights.attn_k.rows, k);
      kernels.add(weights.v_bias, weights.attn_v.rows, v);
    }
    const float* table = s.rope.data() + token * c.rope;
    finish(table, weights.q_norm, c.n_heads, q);
    finish(table, weights.k_norm, c.n_kv_heads, k);
    const auto at = static_cast<std::size_t>(layer);
    s.keys[at].store(kernels, step.position + token, k);
    s.values[at].store(kernels, step.position + token, v);
  });
}

void GroupedAttention::attend_heads(Cpu& cpu, GroupedAttentionState& s, const Step& step) const {
  const AttentionConfig& c = config;
  const std::int64_t shared_by = c.n_heads / c.n_kv_heads;
  const auto n_tokens = static_cast<std::int64_t>(step.tokens.size());
  // Tokens whose queries fill a batch.
  const std::int64_t at_once = std::max<std::int64_t>(1, attention_batch / shared_by);
  cpu.team().run(static_cast<int>(c.n_kv_heads * blocks_of(n_tokens, at_once)), [&](int task, int worker) {
    const std::int64_t kv_head = task % c.n_kv_heads;
    const std::int64_t token = task / c.n_kv_heads * at_once;
    const std::int64_t some = std::min(at_once, n_tokens - token);
    const std::int64_t head = kv_head * shared_by;
    float* keys = cpu.scratch(worker);
    float* values = keys + attention_block * c.head_dim;
    const AttentionGroup group{.first_position = step.position + token,
                               .n_tokens = static_cast<int>(some),
                               .n_heads = static_cast<int>(shared_by),
                               .key_width = c.head_dim,
                               .value_width = c.v_dim,
                               .scale = 1.0F / __builtin_sqrtf(static_cast<float>(c.head_dim)),
                               .q = s.q.data() + (token * c.n_heads + head) * c.head_dim,
                               .q_token_stride = c.n_heads * c.head_dim,
                               .q_head_stride = c.head_dim,
                               .out = s.out.floats() + (token * c.n_heads + head) * c.v_dim,
                               .out_token_stride = c.n_heads * c.v_dim,
                               .out_head_stride = c.v_dim};
    attend(
        cpu, group, {0, step.position + token + some},
        [&](std::int64_t first, int n) -> KeyValues {
          const auto at = static_cast<std::size_t>(layer);
          const CacheRows::View k =
              s.keys[at].read(cpu.kernels(), first, n, kv_head * c.head_dim, c.head_dim, keys);
          const CacheRows::View v =
              s.values[at].read(cpu.kernels(), first, n, kv_head * c.v_dim, c.v_dim, values);
          return {k.rows, k.stride, v.rows, v.stride};
        },
        values + attention_block * c.v_dim);
  });
  s.out.changed();
}

void GroupedAttention::run(Cpu& cpu, GroupedAttentionState& s, const Step& step, Activations& h,
                           float* x) const {
  const Span span(cpu.profile(), "attention");
  const auto n_tokens = static_cast<std::int64_t>(step.tokens.size());
  cpu.rms_norm(x, weights.attn_norm, config.norm_eps, n_tokens, h);
  cpu.matmul({{weights.attn_q, s.q.data(), weights.attn_q.rows},
              {weights.attn_k, s.k.data(), weights.attn_k.rows},
              {weights.attn_v, s.v.data(), weights.attn_v.rows}},
             h, n_tokens);
  finish_heads(cpu, s, step);
  {
    const Span part(cpu.profile(), "attend");
    const auto at = static_cast<std::size_t>(layer);
    cpu.reads((step.position + n_tokens) * (s.keys[at].row_bytes() + s.values[at].row_bytes()));
    attend_heads(cpu, s, step);
  }
  cpu.matmul({{weights.attn_output, h.floats(), config.dim}}, s.out, n_tokens);
  cpu.add(h.floats(), n_tokens * config.dim, x);
}

}  // namespace coterie
