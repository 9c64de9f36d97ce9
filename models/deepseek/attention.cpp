#include "models/deepseek/attention.h"

#include "device/cpu/attention.h"
#include "models/rope.h"

#include <algorithm>
#include <cstring>

namespace coterie::deepseek {

namespace {

// Heads that share one pass over the cache in the absorbed form: few enough that every thread gets some.
constexpr std::int64_t head_group = 16;

// q [T, heads, nope + rope] and kv_a [T, kv_lora_rank + rope] from the normalised input.
void project(Cpu& cpu, const AttentionWeights& w, const Config& c, State& s, std::int64_t n_tokens) {
  const std::int64_t q_width = c.n_heads * (c.nope + c.rope);
  const Product kv{w.attn_kv_a_mqa, s.kv_a.data(), c.kv_lora_rank + c.rope};
  if (!w.attn_q_a) {
    cpu.matmul({{w.attn_q, s.q.data(), q_width}, kv}, s.h, n_tokens);
    return;
  }
  cpu.matmul({{w.attn_q_a, s.q_a.floats(), c.q_lora_rank}, kv}, s.h, n_tokens);
  cpu.rms_norm(s.q_a.floats(), w.attn_q_a_norm, c.norm_eps, n_tokens, s.q_a);
  cpu.matmul({{w.attn_q_b, s.q.data(), q_width}}, s.q_a, n_tokens);
}

// Rotates q and the shared key, normalises the latent, and stores the cache rows.
void rotate_and_store(Cpu& cpu, const AttentionWeights& w, const Config& c, State& s, CacheRows& cache,
                      const Step& step) {
  const std::int64_t qk = c.nope + c.rope;
  const std::int64_t width = c.kv_lora_rank + c.rope;
  cpu.team().run(static_cast<int>(step.tokens.size()), [&](int token, int) {
    const float* table = s.rope.data() + token * c.rope;
    for (std::int64_t head = 0; head < c.n_heads; ++head)
      rotate(table, c.rope / 2, s.q.data() + (token * c.n_heads + head) * qk + c.nope);
    float* kv = s.kv_a.data() + token * width;
    rotate(table, c.rope / 2, kv + c.kv_lora_rank);
    cpu.kernels().rms_norm(kv, w.attn_kv_a_norm, c.kv_lora_rank, c.norm_eps, kv);
    cache.store(cpu.kernels(), step.position + token, kv);
  });
}

// q_latent[t][head] = [W_k^T q_nope, q_rope].
void absorb_queries(Cpu& cpu, const AttentionWeights& w, const Config& c, State& s, std::int64_t n_tokens) {
  const std::int64_t qk = c.nope + c.rope;
  const std::int64_t width = c.kv_lora_rank + c.rope;
  if (w.attn_k_b)
    cpu.matmul_heads({w.attn_k_b, 0, c.kv_lora_rank, s.q.data(), c.n_heads * qk, qk, s.q_latent.data(),
                      c.n_heads * width, width},
                     n_tokens);
  cpu.team().run(static_cast<int>(c.n_heads), [&](int head, int worker) {
    const std::int64_t at = head;
    const float* q = s.q.data() + at * qk;
    float* out = s.q_latent.data() + at * width;
    if (!w.attn_k_b) {  // kv_b's rows run across this sum: decoded to floats
      const Matrix keys = w.attn_kv_b.at(head).rows_at(0, c.nope);
      float* decoded = cpu.scratch(worker);
      keys.format->decode(keys.data, c.nope * c.kv_lora_rank, decoded);
      cpu.kernels().outer(q, c.n_heads * qk, static_cast<int>(n_tokens), decoded, c.kv_lora_rank,
                          static_cast<int>(c.nope), static_cast<int>(c.kv_lora_rank), out, c.n_heads * width);
    }
    for (std::int64_t token = 0; token < n_tokens; ++token)
      std::memcpy(out + token * c.n_heads * width + c.kv_lora_rank, q + token * c.n_heads * qk + c.nope,
                  static_cast<std::size_t>(c.rope) * sizeof(float));
  });
}

void attend_absorbed(Cpu& cpu, const AttentionWeights& w, const Config& c, State& s, const CacheRows& cache,
                     const Step& step) {
  const std::int64_t width = c.kv_lora_rank + c.rope;
  const auto n_tokens = static_cast<std::int64_t>(step.tokens.size());
  absorb_queries(cpu, w, c, s, n_tokens);
  const std::int64_t groups = (c.n_heads + head_group - 1) / head_group;
  cpu.team().run(static_cast<int>(groups * n_tokens), [&](int task, int worker) {
    const std::int64_t token = task / groups;
    const std::int64_t head = task % groups * head_group;
    float* widened = cpu.scratch(worker);
    const AttentionGroup group{.first_position = step.position + token,
                               .n_tokens = 1,
                               .n_heads = static_cast<int>(std::min(head_group, c.n_heads - head)),
                               .key_width = width,
                               .value_width = c.kv_lora_rank,
                               .scale = c.attention_scale,
                               .q = s.q_latent.data() + (token * c.n_heads + head) * width,
                               .q_token_stride = 0,
                               .q_head_stride = width,
                               .out = s.out_latent.data() + (token * c.n_heads + head) * c.kv_lora_rank,
                               .out_token_stride = 0,
                               .out_head_stride = c.kv_lora_rank};
    attend(
        cpu, group,
        [&](std::int64_t first, int n) -> KeyValues {
          const CacheRows::View rows = cache.read(cpu.kernels(), first, n, 0, width, widened);
          return {rows.rows, rows.stride, rows.rows, rows.stride};
        },
        widened + attention_block * width);
  });
  const bool split = static_cast<bool>(w.attn_v_b);
  cpu.matmul_heads(
      {split ? w.attn_v_b : w.attn_kv_b, split ? 0 : c.nope, c.v_dim, s.out_latent.data(),
       c.n_heads * c.kv_lora_rank, c.kv_lora_rank, s.attention_out.floats(), c.n_heads * c.v_dim, c.v_dim},
      n_tokens);
}

// Keys and values of one head, rebuilt from the latents.
struct Decompressor {
  const Cpu& cpu;
  const AttentionWeights& w;
  const Config& c;
  const State& s;
  const CacheRows& cache;
  std::int64_t head;
  float* keys;     // [attention_block, nope + rope]
  float* values;   // [attention_block, v]
  float* shared;   // [attention_block, rope]
  float* decoded;  // [kv_lora_rank, nope]: attn_k_b of the head as floats, since its rows run across the sum

  KeyValues operator()(std::int64_t first, int n) const {
    const std::int64_t qk = c.nope + c.rope;
    if (w.attn_k_b)
      cpu.kernels().outer(s.latents.floats(first), c.kv_lora_rank, n, decoded, c.nope,
                          static_cast<int>(c.kv_lora_rank), static_cast<int>(c.nope), keys, qk);
    else
      product(w.attn_kv_b, head * (c.nope + c.v_dim), c.nope, first, n, keys, qk);
    const CacheRows::View rope = cache.read(cpu.kernels(), first, n, c.kv_lora_rank, c.rope, shared);
    for (int i = 0; i < n; ++i)
      std::memcpy(keys + i * qk + c.nope, rope.rows + i * rope.stride,
                  static_cast<std::size_t>(c.rope) * sizeof(float));
    if (w.attn_v_b)
      product(w.attn_v_b, head * c.v_dim, c.v_dim, first, n, values, c.v_dim);
    else
      product(w.attn_kv_b, head * (c.nope + c.v_dim) + c.nope, c.v_dim, first, n, values, c.v_dim);
    return {keys, qk, values, c.v_dim};
  }

  void product(const Matrix& m, std::int64_t first_row, std::int64_t n_rows, std::int64_t first, int n,
               float* y, std::int64_t y_stride) const {
    cpu.rows(m.rows_at(first_row, n_rows),
             s.latents.inputs(m.format->activation, first + n).some(static_cast<int>(first), n), y, y_stride);
  }
};

void attend_decompressed(Cpu& cpu, const AttentionWeights& w, const Config& c, State& s,
                         const CacheRows& cache, const Step& step) {
  const std::int64_t qk = c.nope + c.rope;
  const auto n_tokens = static_cast<std::int64_t>(step.tokens.size());
  const std::int64_t end = step.position + n_tokens;
  cpu.team().run(blocks_of(end, attention_block), [&](int block, int) {
    const std::int64_t first = static_cast<std::int64_t>(block) * attention_block;
    const int n = static_cast<int>(std::min<std::int64_t>(attention_block, end - first));
    float* to = s.latents.floats(first);
    const CacheRows::View rows = cache.read(cpu.kernels(), first, n, 0, c.kv_lora_rank, to);
    for (int i = 0; rows.rows != to && i < n; ++i)
      std::memcpy(to + i * c.kv_lora_rank, rows.rows + i * rows.stride,
                  static_cast<std::size_t>(c.kv_lora_rank) * sizeof(float));
  });
  s.latents.changed();
  cpu.quantize(s.latents, (w.attn_v_b ? w.attn_v_b : w.attn_kv_b).format->activation, end);

  cpu.team().run(static_cast<int>(c.n_heads), [&](int head, int worker) {
    float* keys = cpu.scratch(worker);
    float* values = keys + attention_block * qk;
    float* shared = values + attention_block * c.v_dim;
    float* decoded = shared + attention_block * c.rope;
    float* running = decoded + c.kv_lora_rank * c.nope;
    if (w.attn_k_b) {
      const Matrix k_b = w.attn_k_b.at(head);
      k_b.format->decode(k_b.data, c.kv_lora_rank * c.nope, decoded);
    }
    const AttentionGroup group{.first_position = step.position,
                               .n_tokens = static_cast<int>(n_tokens),
                               .n_heads = 1,
                               .key_width = qk,
                               .value_width = c.v_dim,
                               .scale = c.attention_scale,
                               .q = s.q.data() + head * qk,
                               .q_token_stride = c.n_heads * qk,
                               .q_head_stride = 0,
                               .out = s.attention_out.floats() + head * c.v_dim,
                               .out_token_stride = c.n_heads * c.v_dim,
                               .out_head_stride = 0};
    attend(cpu, group, Decompressor{cpu, w, c, s, cache, head, keys, values, shared, decoded}, running);
  });
}

}  // namespace

std::int64_t attention_scratch_floats(const Config& c, std::int64_t max_tokens) {
  const std::int64_t absorbed =
      attention_block * (c.kv_lora_rank + c.rope) + attention_scratch(1, head_group, c.kv_lora_rank);
  const std::int64_t decompressed = attention_block * (c.nope + 2 * c.rope + c.v_dim) +
                                    c.kv_lora_rank * c.nope + attention_scratch(max_tokens, 1, c.v_dim);
  return std::max(absorbed, decompressed);
}

void attention_layer(Cpu& cpu, const AttentionWeights& w, const Config& c, State& s, std::int64_t layer,
                     const Step& step) {
  const auto n_tokens = static_cast<std::int64_t>(step.tokens.size());
  CacheRows& cache = s.cache[static_cast<std::size_t>(layer)];
  const Span span(cpu.profile(), "attention");
  {
    const Span part(cpu.profile(), "project");
    cpu.rms_norm(s.x.data(), w.attn_norm, c.norm_eps, n_tokens, s.h);
    project(cpu, w, c, s, n_tokens);
    rotate_and_store(cpu, w, c, s, cache, step);
  }
  {
    const Span part(cpu.profile(), "attend");
    cpu.reads((step.position + n_tokens) * cache.row_bytes());
    // An observer sees the absorbed form: a column of attn_k_b meets a query's value, attn_v_b the sum that attention
    // has made. In the other form the rows of attn_k_b run across, and attn_v_b meets latents that attention may
    // never look at. Columns of an unsplit attn_kv_b, shared by keys and values, meet the latents themselves.
    if (w.attn_kv_b) cpu.observe(w.attn_kv_b, {s.kv_a.data(), c.kv_lora_rank + c.rope, n_tokens});
    if (step.role == Role::decode || cpu.observer() != nullptr)
      attend_absorbed(cpu, w, c, s, cache, step);
    else
      attend_decompressed(cpu, w, c, s, cache, step);
  }
  const Span part(cpu.profile(), "output");
  s.attention_out.changed();
  cpu.matmul({{w.attn_output, s.h.floats(), c.dim}}, s.attention_out, n_tokens);
  cpu.add(s.h.floats(), n_tokens * c.dim, s.x.data());
}

}  // namespace coterie::deepseek
