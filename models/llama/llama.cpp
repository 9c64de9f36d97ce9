#include "models/llama/llama.h"

#include "base/errors.h"
#include "device/cpu/attention.h"
#include "gguf/reader.h"
#include "models/rope.h"
#include "models/tensors.h"

#include <algorithm>

namespace coterie::llama {

struct State : ModelState {
  State(Cpu& cpu, const Config& c, const StateOptions& o);

  std::vector<CacheRows> keys,
      values;                 // per layer [positions, kv_heads * head_dim], [positions, kv_heads * v_dim]
  Buffer<float> x;            // [T, dim]
  Activations h;              // [T, dim]
  Buffer<float> q, k, v;      // [T, heads, head_dim], [T, kv_heads, head_dim], [T, kv_heads, v_dim]
  Buffer<float> rope;         // [T, rope]
  Activations attention_out;  // [T, heads * v_dim]
  FeedForwardRunner feed_forward;
};

State::State(Cpu& cpu, const Config& c, const StateOptions& o)
    : x(o.max_tokens * c.dim, "activations"),
      h(o.max_tokens, c.dim, "activations"),
      q(o.max_tokens * c.n_heads * c.head_dim, "activations"),
      k(o.max_tokens * c.n_kv_heads * c.head_dim, "activations"),
      v(o.max_tokens * c.n_kv_heads * c.v_dim, "activations"),
      rope(o.max_tokens * c.rope, "activations"),
      attention_out(o.max_tokens, c.n_heads * c.v_dim, "activations"),
      feed_forward(cpu, {.max_tokens = o.max_tokens,
                         .dim = c.dim,
                         .per_token = 0,
                         .n_experts = 0,
                         .inner = 0,
                         .shared_inner = c.inner}) {
  for (std::int64_t layer = 0; layer < c.n_layers; ++layer) {
    keys.emplace_back(o.cache, o.positions, c.n_kv_heads * c.head_dim);
    values.emplace_back(o.cache, o.positions, c.n_kv_heads * c.v_dim);
  }
  cpu.reserve_scratch(attention_block * (c.head_dim + c.v_dim) +
                      attention_scratch(o.max_tokens, c.n_heads / c.n_kv_heads, c.v_dim));
}

namespace {

std::string key(const char* name) { return std::string("llama.") + name; }

[[noreturn]] void bad(const gguf::Reader& file, const std::string& what) {
  throw ModelError(file.path() + ": " + what);
}

Config read_config(const gguf::Reader& f) {
  constexpr std::int64_t max_width = 1 << 20;
  Config c{};
  c.context_length = f.integer(key("context_length"), 1, std::int64_t{1} << 31);
  c.n_layers = f.integer(key("block_count"), 1, 1024);
  c.dim = f.integer(key("embedding_length"), 1, max_width);
  c.inner = f.integer(key("feed_forward_length"), 1, max_width);
  c.n_heads = f.integer(key("attention.head_count"), 1, 4096);
  c.n_kv_heads = f.integer(key("attention.head_count_kv"), 1, c.n_heads, c.n_heads);
  c.head_dim =
      f.integer(key("attention.key_length"), 1, max_width, std::max<std::int64_t>(1, c.dim / c.n_heads));
  c.v_dim = f.integer(key("attention.value_length"), 1, max_width, c.head_dim);
  c.rope = f.integer(key("rope.dimension_count"), 2, c.head_dim, c.head_dim);
  c.norm_eps = f.number(key("attention.layer_norm_rms_epsilon"));
  if (!(c.norm_eps >= 0))
    bad(f, "key llama.attention.layer_norm_rms_epsilon: expected a number of at least 0");
  if (c.n_heads % c.n_kv_heads != 0)
    bad(f, "key llama.attention.head_count_kv: " + std::to_string(c.n_kv_heads) + ", expected a divisor of " +
               std::to_string(c.n_heads) + " heads");
  if (c.rope % 2 != 0)
    bad(f, "key llama.rope.dimension_count: " + std::to_string(c.rope) + ", expected an even number");
  const float base = f.number(key("rope.freq_base"), 10000.0F);
  if (!(base > 1))
    bad(f, "key llama.rope.freq_base: " + std::to_string(base) + ", expected a number above 1");
  const float linear =
      f.text(key("rope.scaling.type"), "none") == "linear" ? f.number(key("rope.scaling.factor")) : 1.0F;
  if (!(linear >= 1))
    bad(f, "key llama.rope.scaling.factor: " + std::to_string(linear) + ", expected at least 1");
  c.inv_freq = plain_frequencies(c.rope, base);
  for (float& v : c.inv_freq) v /= linear;
  return c;
}

}  // namespace

Llama::Llama(const gguf::Reader& file) : config_(read_config(file)) {
  read_weights(file);
  sizes_ = {config_.n_vocab, config_.context_length};
}

void Llama::read_weights(const gguf::Reader& file) {
  const Tensors t(file);
  Config& c = config_;
  const gguf::TensorInfo* embedding = file.find_tensor("token_embd.weight");
  c.n_vocab = embedding == nullptr ? 0 : embedding->shape[1];
  token_embd_ = t.matrix("token_embd.weight", c.dim, c.n_vocab);
  if (const float* factors = t.optional_vector("rope_freqs.weight", c.rope / 2))
    for (std::size_t i = 0; i < c.inv_freq.size(); ++i) c.inv_freq[i] /= factors[i];
  for (std::int64_t layer = 0; layer < c.n_layers; ++layer) {
    const auto name = [&](const char* root) { return block_name(layer, root); };
    LayerWeights w{};
    w.attn_norm = t.vector(name("attn_norm.weight"), c.dim);
    w.attn_q = t.matrix(name("attn_q.weight"), c.dim, c.n_heads * c.head_dim);
    w.attn_k = t.matrix(name("attn_k.weight"), c.dim, c.n_kv_heads * c.head_dim);
    w.attn_v = t.matrix(name("attn_v.weight"), c.dim, c.n_kv_heads * c.v_dim);
    w.attn_output = t.matrix(name("attn_output.weight"), c.n_heads * c.v_dim, c.dim);
    w.ffn_norm = t.vector(name("ffn_norm.weight"), c.dim);
    w.ffn = {t.matrix(name("ffn_gate.weight"), c.dim, c.inner),
             t.matrix(name("ffn_up.weight"), c.dim, c.inner),
             t.matrix(name("ffn_down.weight"), c.inner, c.dim)};
    layers_.push_back(w);
  }
  output_norm_ = t.vector("output_norm.weight", c.dim);
  output_ = t.has("output.weight") ? t.matrix("output.weight", c.dim, c.n_vocab) : token_embd_;
}

std::unique_ptr<ModelState> Llama::new_state(Cpu& cpu, const StateOptions& options) const {
  return std::make_unique<State>(cpu, config_, options);
}

void Llama::attend_heads(Cpu& cpu, State& s, std::int64_t layer, const Step& step) const {
  const Config& c = config_;
  const std::int64_t shared_by = c.n_heads / c.n_kv_heads;
  const auto n_tokens = static_cast<std::int64_t>(step.tokens.size());
  cpu.team().run(static_cast<int>(c.n_kv_heads), [&](int kv_head, int worker) {
    const std::int64_t head = kv_head * shared_by;
    float* keys = cpu.scratch(worker);
    float* values = keys + attention_block * c.head_dim;
    const AttentionGroup group{.first_position = step.position,
                               .n_tokens = static_cast<int>(n_tokens),
                               .n_heads = static_cast<int>(shared_by),
                               .key_width = c.head_dim,
                               .value_width = c.v_dim,
                               .scale = 1.0F / __builtin_sqrtf(static_cast<float>(c.head_dim)),
                               .q = s.q.data() + head * c.head_dim,
                               .q_token_stride = c.n_heads * c.head_dim,
                               .q_head_stride = c.head_dim,
                               .out = s.attention_out.floats() + head * c.v_dim,
                               .out_token_stride = c.n_heads * c.v_dim,
                               .out_head_stride = c.v_dim};
    attend(
        cpu, group,
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
}

void Llama::attention_layer(Cpu& cpu, const LayerWeights& w, State& s, std::int64_t layer,
                            const Step& step) const {
  const Config& c = config_;
  const auto n_tokens = static_cast<std::int64_t>(step.tokens.size());
  const std::int64_t k_width = c.n_kv_heads * c.head_dim;
  const std::int64_t v_width = c.n_kv_heads * c.v_dim;
  cpu.rms_norm(s.x.data(), w.attn_norm, c.norm_eps, n_tokens, s.h);
  cpu.matmul({{w.attn_q, s.q.data(), c.n_heads * c.head_dim},
              {w.attn_k, s.k.data(), k_width},
              {w.attn_v, s.v.data(), v_width}},
             s.h, n_tokens);
  cpu.team().run(static_cast<int>(n_tokens), [&](int token, int) {
    const float* table = s.rope.data() + token * c.rope;
    for (std::int64_t head = 0; head < c.n_heads; ++head)
      rotate(table, c.rope / 2, s.q.data() + (token * c.n_heads + head) * c.head_dim);
    for (std::int64_t head = 0; head < c.n_kv_heads; ++head)
      rotate(table, c.rope / 2, s.k.data() + (token * c.n_kv_heads + head) * c.head_dim);
    const auto at = static_cast<std::size_t>(layer);
    s.keys[at].store(cpu.kernels(), step.position + token, s.k.data() + token * k_width);
    s.values[at].store(cpu.kernels(), step.position + token, s.v.data() + token * v_width);
  });
  attend_heads(cpu, s, layer, step);
  s.attention_out.changed();
  cpu.matmul({{w.attn_output, s.h.floats(), c.dim}}, s.attention_out, n_tokens);
  cpu.add(s.h.floats(), n_tokens * c.dim, s.x.data());
}

void Llama::forward(Cpu& cpu, ModelState& state, const Step& step) const {
  State& s = static_cast<State&>(state);
  const Config& c = config_;
  const auto n_tokens = static_cast<std::int64_t>(step.tokens.size());
  cpu.embed(token_embd_, step.tokens, s.x.data());
  rope_table(c.inv_freq, step.position, n_tokens, s.rope.data());
  for (std::int64_t layer = 0; layer < c.n_layers; ++layer) {
    const LayerWeights& w = layers_[static_cast<std::size_t>(layer)];
    attention_layer(cpu, w, s, layer, step);
    cpu.rms_norm(s.x.data(), w.ffn_norm, c.norm_eps, n_tokens, s.h);
    s.feed_forward.dense(cpu, w.ffn, s.h, n_tokens, s.x.data());
  }
  if (step.n_logits == 0) return;
  cpu.rms_norm(s.x.data() + (n_tokens - step.n_logits) * c.dim, output_norm_, c.norm_eps, step.n_logits, s.h);
  cpu.matmul({{output_, step.logits, c.n_vocab}}, s.h, step.n_logits);
}

std::int64_t Llama::bytes_per_token(std::int64_t position, CacheType cache) const {
  std::int64_t bytes = token_embd_.row_bytes() + output_.bytes();
  for (const LayerWeights& w : layers_)
    for (const Matrix* m :
         {&w.attn_q, &w.attn_k, &w.attn_v, &w.attn_output, &w.ffn.gate, &w.ffn.up, &w.ffn.down})
      bytes += m->bytes();
  return bytes + position * cache_bytes_per_position(cache);
}

std::int64_t Llama::cache_bytes_per_position(CacheType cache) const {
  return config_.n_layers * config_.n_kv_heads * (config_.head_dim + config_.v_dim) *
         CacheRows::bytes_each(cache);
}

}  // namespace coterie::llama
