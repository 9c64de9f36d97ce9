#include "models/trunk.h"

#include "base/errors.h"
#include "gguf/reader.h"
#include "models/rope.h"

#include <algorithm>

namespace coterie {

namespace {

// The keys of one architecture, with their limits.
class Keys {
 public:
  Keys(const gguf::Reader& file, const char* architecture)
      : file_(file), prefix_(std::string(architecture) + ".") {}

  std::int64_t integer(const char* name, std::int64_t low, std::int64_t high) const {
    return file_.integer(prefix_ + name, low, high);
  }
  std::int64_t integer(const char* name, std::int64_t low, std::int64_t high, std::int64_t fallback) const {
    return file_.integer(prefix_ + name, low, high, fallback);
  }
  float number(const char* name) const { return file_.number(prefix_ + name); }
  float number(const char* name, float fallback) const { return file_.number(prefix_ + name, fallback); }
  std::string text(const char* name, const char* fallback) const {
    return std::string(file_.text(prefix_ + name, fallback));
  }
  void require(bool sound, const char* name, const std::string& found, const std::string& expected) const {
    if (sound) return;
    throw ModelError(file_.path() + ": key " + prefix_ + name + ": " + found + ", expected " + expected);
  }

 private:
  const gguf::Reader& file_;
  std::string prefix_;
};

void read_heads(const Keys& keys, AttentionConfig& c) {
  constexpr std::int64_t max_width = 1 << 20;
  c.dim = keys.integer("embedding_length", 1, max_width);
  c.n_heads = keys.integer("attention.head_count", 1, 4096);
  c.n_kv_heads = keys.integer("attention.head_count_kv", 1, c.n_heads, c.n_heads);
  c.head_dim =
      keys.integer("attention.key_length", 1, max_width, std::max<std::int64_t>(1, c.dim / c.n_heads));
  c.v_dim = keys.integer("attention.value_length", 1, max_width, c.head_dim);
  c.rope = keys.integer("rope.dimension_count", 2, c.head_dim, c.head_dim);
  keys.require(c.n_heads % c.n_kv_heads == 0, "attention.head_count_kv", std::to_string(c.n_kv_heads),
               "a divisor of " + std::to_string(c.n_heads) + " heads");
  keys.require(c.rope % 2 == 0, "rope.dimension_count", std::to_string(c.rope), "an even number");
}

void read_frequencies(const Keys& keys, AttentionConfig& c) {
  const float base = keys.number("rope.freq_base", 10000.0F);
  keys.require(base > 1, "rope.freq_base", std::to_string(base), "a number above 1");
  const std::string scaling = keys.text("rope.scaling.type", "none");
  keys.require(scaling == "none" || scaling == "linear", "rope.scaling.type", scaling,
               "none or linear in this architecture");
  const float linear = scaling == "linear" ? keys.number("rope.scaling.factor") : 1.0F;
  keys.require(linear >= 1, "rope.scaling.factor", std::to_string(linear), "at least 1");
  c.inv_freq = plain_frequencies(c.rope, base);
  for (float& f : c.inv_freq) f /= linear;
}

AttentionConfig read_config(const Keys& keys, const TrunkKind& kind) {
  AttentionConfig c{};
  c.pairs = kind.pairs;
  c.biased = kind.biased;
  c.head_norms = kind.head_norms;
  c.n_layers = keys.integer("block_count", 1, 1024);
  read_heads(keys, c);
  c.norm_eps = keys.number("attention.layer_norm_rms_epsilon");
  keys.require(c.norm_eps >= 0, "attention.layer_norm_rms_epsilon", std::to_string(c.norm_eps),
               "a number of at least 0");
  read_frequencies(keys, c);
  return c;
}

}  // namespace

TrunkState::TrunkState(Cpu& cpu, const AttentionConfig& c, const StateOptions& o)
    : x(o.max_tokens * c.dim, "activations"), h(o.max_tokens, c.dim, "activations"), attention(cpu, c, o) {}

Trunk::Trunk(const gguf::Reader& file, const TrunkKind& kind)
    : config_(read_config(Keys(file, kind.name), kind)) {
  AttentionConfig& c = config_;
  const Tensors t(file);
  const gguf::TensorInfo* embedding = file.find_tensor("token_embd.weight");
  sizes_ = {embedding == nullptr ? 0 : embedding->shape[1],
            Keys(file, kind.name).integer("context_length", 1, std::int64_t{1} << 31)};
  token_embd_ = t.matrix("token_embd.weight", c.dim, sizes_.n_vocab);
  if (const float* factors = t.optional_vector("rope_freqs.weight", c.rope / 2))
    for (std::size_t i = 0; i < c.inv_freq.size(); ++i) c.inv_freq[i] /= factors[i];
  for (std::int64_t layer = 0; layer < c.n_layers; ++layer) {
    attention_.push_back(read_attention(t, c, layer));
    ffn_norm_.push_back(t.vector(block_name(layer, "ffn_norm.weight"), c.dim));
  }
  output_norm_ = t.vector("output_norm.weight", c.dim);
  output_ = t.has("output.weight") ? t.matrix("output.weight", c.dim, sizes_.n_vocab) : token_embd_;
}

void Trunk::embed(Cpu& cpu, TrunkState& s, const Step& step) const {
  cpu.embed(token_embd_, step.tokens, s.x.data());
  rope_table(config_.inv_freq, step.position, static_cast<std::int64_t>(step.tokens.size()),
             s.attention.rope.data());
}

void Trunk::attend(Cpu& cpu, TrunkState& s, std::int64_t layer, const Step& step) const {
  const auto at = static_cast<std::size_t>(layer);
  GroupedAttention{config_, attention_[at], layer}.run(cpu, s.attention, step, s.h, s.x.data());
  cpu.rms_norm(s.x.data(), ffn_norm_[at], config_.norm_eps, static_cast<std::int64_t>(step.tokens.size()),
               s.h);
}

void Trunk::head(Cpu& cpu, TrunkState& s, const Step& step) const {
  if (step.n_logits == 0) return;
  const Span span(cpu.profile(), "head");
  const std::int64_t first = static_cast<std::int64_t>(step.tokens.size()) - step.n_logits;
  cpu.rms_norm(s.x.data() + first * config_.dim, output_norm_, config_.norm_eps, step.n_logits, s.h);
  cpu.matmul({{output_, step.logits, sizes_.n_vocab}}, s.h, step.n_logits);
}

TokenCost Trunk::token_cost(std::int64_t position, CacheType cache) const {
  TokenCost cost{.bytes = token_embd_.row_bytes() + position * cache_bytes_per_position(cache)};
  cost.add_head(output_);
  for (const GroupedAttentionWeights& w : attention_)
    for (const Matrix* m : {&w.attn_q, &w.attn_k, &w.attn_v, &w.attn_output}) cost.add(*m);
  return cost;
}

std::int64_t Trunk::cache_bytes_per_position(CacheType cache) const {
  return config_.n_layers * config_.n_kv_heads *
         (CacheRows::bytes(cache, config_.head_dim) + CacheRows::bytes(cache, config_.v_dim));
}

}  // namespace coterie
