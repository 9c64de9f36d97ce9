#include "convert/names.h"

#include <algorithm>
#include <string_view>

namespace coterie::convert {

namespace {

using C = const HfConfig&;
using L = std::int64_t;

// Sizes, by what they count.
constexpr Size vocab = [](C c) { return c.vocab; };
constexpr Size hidden = [](C c) { return c.hidden; };
constexpr Size two_hidden = [](C c) { return 2 * c.hidden; };
constexpr Size inner = [](C c) { return c.inner; };
constexpr Size expert_inner = [](C c) { return c.expert_inner; };
constexpr Size shared_inner = [](C c) { return c.shared_experts * c.expert_inner; };
constexpr Size experts = [](C c) { return c.experts; };
constexpr Size head_dim = [](C c) { return c.head_dim; };
constexpr Size queries = [](C c) { return c.heads * c.head_dim; };
constexpr Size keys = [](C c) { return c.kv_heads * c.head_dim; };
constexpr Size q_lora = [](C c) { return c.q_lora; };
constexpr Size kv_lora = [](C c) { return c.kv_lora; };
constexpr Size kv_lora_rope = [](C c) { return c.kv_lora + c.rope; };
constexpr Size latent_queries = [](C c) { return c.heads * (c.nope + c.rope); };
constexpr Size latent_keys_values = [](C c) { return c.heads * (c.nope + c.v_dim); };
constexpr Size latent_values = [](C c) { return c.heads * c.v_dim; };

// Where a rule applies. Layers from c.layers on are the multi-token-prediction ones.
constexpr Applies always = [](C, L) { return true; };
constexpr Applies untied = [](C c, L) { return !c.tied; };
constexpr Applies main_layer = [](C c, L layer) { return layer < c.layers; };
constexpr Applies mtp_layer = [](C c, L layer) { return layer >= c.layers; };
constexpr Applies dense = [](C c, L layer) { return layer < c.dense_layers; };
constexpr Applies moe = [](C c, L layer) { return layer >= c.dense_layers; };
constexpr Applies biased_moe = [](C c, L layer) { return layer >= c.dense_layers && c.correction_bias; };
constexpr Applies shared_moe = [](C c, L layer) { return layer >= c.dense_layers && c.shared_experts > 0; };
constexpr Applies with_q_lora = [](C c, L) { return c.q_lora > 0; };
constexpr Applies without_q_lora = [](C c, L) { return c.q_lora == 0; };

constexpr TensorRule deepseek[] = {
    {"model.embed_tokens.weight", "token_embd.weight", vocab, hidden, always},
    {"model.norm.weight", "output_norm.weight", hidden, nullptr, always},
    {"lm_head.weight", "output.weight", vocab, hidden, untied},

    {"model.layers.#.input_layernorm.weight", "blk.#.attn_norm.weight", hidden, nullptr, always},
    {"model.layers.#.self_attn.q_proj.weight", "blk.#.attn_q.weight", latent_queries, hidden, without_q_lora},
    {"model.layers.#.self_attn.q_a_proj.weight", "blk.#.attn_q_a.weight", q_lora, hidden, with_q_lora},
    {"model.layers.#.self_attn.q_a_layernorm.weight", "blk.#.attn_q_a_norm.weight", q_lora, nullptr,
     with_q_lora},
    {"model.layers.#.self_attn.q_b_proj.weight", "blk.#.attn_q_b.weight", latent_queries, q_lora,
     with_q_lora},
    {"model.layers.#.self_attn.kv_a_proj_with_mqa.weight", "blk.#.attn_kv_a_mqa.weight", kv_lora_rope, hidden,
     always},
    {"model.layers.#.self_attn.kv_a_layernorm.weight", "blk.#.attn_kv_a_norm.weight", kv_lora, nullptr,
     always},
    {"model.layers.#.self_attn.kv_b_proj.weight", "blk.#.attn_k_b.weight", latent_keys_values, kv_lora,
     always, Layout::key_half},
    {"model.layers.#.self_attn.kv_b_proj.weight", "blk.#.attn_v_b.weight", latent_keys_values, kv_lora,
     always, Layout::value_half},
    {"model.layers.#.self_attn.o_proj.weight", "blk.#.attn_output.weight", hidden, latent_values, always},
    {"model.layers.#.post_attention_layernorm.weight", "blk.#.ffn_norm.weight", hidden, nullptr, always},

    {"model.layers.#.mlp.down_proj.weight", "blk.#.ffn_down.weight", hidden, inner, dense},
    {"model.layers.#.mlp.gate_proj.weight", "blk.#.ffn_gate.weight", inner, hidden, dense},
    {"model.layers.#.mlp.up_proj.weight", "blk.#.ffn_up.weight", inner, hidden, dense},
    {"model.layers.#.mlp.gate.weight", "blk.#.ffn_gate_inp.weight", experts, hidden, moe},
    {"model.layers.#.mlp.gate.e_score_correction_bias", "blk.#.exp_probs_b.bias", experts, nullptr,
     biased_moe},
    {"model.layers.#.mlp.experts.#.down_proj.weight", "blk.#.ffn_down_exps.weight", hidden, expert_inner,
     moe},
    {"model.layers.#.mlp.experts.#.gate_proj.weight", "blk.#.ffn_gate_exps.weight", expert_inner, hidden,
     moe},
    {"model.layers.#.mlp.experts.#.up_proj.weight", "blk.#.ffn_up_exps.weight", expert_inner, hidden, moe},
    {"model.layers.#.mlp.shared_experts.down_proj.weight", "blk.#.ffn_down_shexp.weight", hidden,
     shared_inner, shared_moe},
    {"model.layers.#.mlp.shared_experts.gate_proj.weight", "blk.#.ffn_gate_shexp.weight", shared_inner,
     hidden, shared_moe},
    {"model.layers.#.mlp.shared_experts.up_proj.weight", "blk.#.ffn_up_shexp.weight", shared_inner, hidden,
     shared_moe},

    {"model.layers.#.eh_proj.weight", "blk.#.nextn.eh_proj.weight", hidden, two_hidden, mtp_layer},
    {"model.layers.#.embed_tokens.weight", "blk.#.nextn.embed_tokens.weight", vocab, hidden, mtp_layer},
    {"model.layers.#.enorm.weight", "blk.#.nextn.enorm.weight", hidden, nullptr, mtp_layer},
    {"model.layers.#.hnorm.weight", "blk.#.nextn.hnorm.weight", hidden, nullptr, mtp_layer},
    {"model.layers.#.shared_head.head.weight", "blk.#.nextn.shared_head_head.weight", vocab, hidden,
     mtp_layer},
    {"model.layers.#.shared_head.norm.weight", "blk.#.nextn.shared_head_norm.weight", hidden, nullptr,
     mtp_layer},
};

constexpr TensorRule llama[] = {
    {"model.embed_tokens.weight", "token_embd.weight", vocab, hidden, always},
    {"model.norm.weight", "output_norm.weight", hidden, nullptr, always},
    {"lm_head.weight", "output.weight", vocab, hidden, untied},
    {"model.layers.#.input_layernorm.weight", "blk.#.attn_norm.weight", hidden, nullptr, main_layer},
    {"model.layers.#.self_attn.q_proj.weight", "blk.#.attn_q.weight", queries, hidden, main_layer,
     Layout::rotary_query},
    {"model.layers.#.self_attn.k_proj.weight", "blk.#.attn_k.weight", keys, hidden, main_layer,
     Layout::rotary_key},
    {"model.layers.#.self_attn.v_proj.weight", "blk.#.attn_v.weight", keys, hidden, main_layer},
    {"model.layers.#.self_attn.o_proj.weight", "blk.#.attn_output.weight", hidden, queries, main_layer},
    {"model.layers.#.post_attention_layernorm.weight", "blk.#.ffn_norm.weight", hidden, nullptr, main_layer},
    {"model.layers.#.mlp.down_proj.weight", "blk.#.ffn_down.weight", hidden, inner, main_layer},
    {"model.layers.#.mlp.gate_proj.weight", "blk.#.ffn_gate.weight", inner, hidden, main_layer},
    {"model.layers.#.mlp.up_proj.weight", "blk.#.ffn_up.weight", inner, hidden, main_layer},
};

constexpr TensorRule qwen2[] = {
    {"model.embed_tokens.weight", "token_embd.weight", vocab, hidden, always},
    {"model.norm.weight", "output_norm.weight", hidden, nullptr, always},
    {"lm_head.weight", "output.weight", vocab, hidden, untied},
    {"model.layers.#.input_layernorm.weight", "blk.#.attn_norm.weight", hidden, nullptr, main_layer},
    {"model.layers.#.self_attn.q_proj.weight", "blk.#.attn_q.weight", queries, hidden, main_layer},
    {"model.layers.#.self_attn.q_proj.bias", "blk.#.attn_q.bias", queries, nullptr, main_layer},
    {"model.layers.#.self_attn.k_proj.weight", "blk.#.attn_k.weight", keys, hidden, main_layer},
    {"model.layers.#.self_attn.k_proj.bias", "blk.#.attn_k.bias", keys, nullptr, main_layer},
    {"model.layers.#.self_attn.v_proj.weight", "blk.#.attn_v.weight", keys, hidden, main_layer},
    {"model.layers.#.self_attn.v_proj.bias", "blk.#.attn_v.bias", keys, nullptr, main_layer},
    {"model.layers.#.self_attn.o_proj.weight", "blk.#.attn_output.weight", hidden, queries, main_layer},
    {"model.layers.#.post_attention_layernorm.weight", "blk.#.ffn_norm.weight", hidden, nullptr, main_layer},
    {"model.layers.#.mlp.down_proj.weight", "blk.#.ffn_down.weight", hidden, inner, main_layer},
    {"model.layers.#.mlp.gate_proj.weight", "blk.#.ffn_gate.weight", inner, hidden, main_layer},
    {"model.layers.#.mlp.up_proj.weight", "blk.#.ffn_up.weight", inner, hidden, main_layer},
};

constexpr TensorRule qwen3_moe[] = {
    {"model.embed_tokens.weight", "token_embd.weight", vocab, hidden, always},
    {"model.norm.weight", "output_norm.weight", hidden, nullptr, always},
    {"lm_head.weight", "output.weight", vocab, hidden, untied},
    {"model.layers.#.input_layernorm.weight", "blk.#.attn_norm.weight", hidden, nullptr, main_layer},
    {"model.layers.#.self_attn.q_proj.weight", "blk.#.attn_q.weight", queries, hidden, main_layer},
    {"model.layers.#.self_attn.q_norm.weight", "blk.#.attn_q_norm.weight", head_dim, nullptr, main_layer},
    {"model.layers.#.self_attn.k_proj.weight", "blk.#.attn_k.weight", keys, hidden, main_layer},
    {"model.layers.#.self_attn.k_norm.weight", "blk.#.attn_k_norm.weight", head_dim, nullptr, main_layer},
    {"model.layers.#.self_attn.v_proj.weight", "blk.#.attn_v.weight", keys, hidden, main_layer},
    {"model.layers.#.self_attn.o_proj.weight", "blk.#.attn_output.weight", hidden, queries, main_layer},
    {"model.layers.#.post_attention_layernorm.weight", "blk.#.ffn_norm.weight", hidden, nullptr, main_layer},
    {"model.layers.#.mlp.gate.weight", "blk.#.ffn_gate_inp.weight", experts, hidden, main_layer},
    {"model.layers.#.mlp.experts.#.down_proj.weight", "blk.#.ffn_down_exps.weight", hidden, expert_inner,
     main_layer},
    {"model.layers.#.mlp.experts.#.gate_proj.weight", "blk.#.ffn_gate_exps.weight", expert_inner, hidden,
     main_layer},
    {"model.layers.#.mlp.experts.#.up_proj.weight", "blk.#.ffn_up_exps.weight", expert_inner, hidden,
     main_layer},
};

}  // namespace

std::span<const TensorRule> deepseek_tensors() { return deepseek; }
std::span<const TensorRule> llama_tensors() { return llama; }
std::span<const TensorRule> qwen2_tensors() { return qwen2; }
std::span<const TensorRule> qwen3_moe_tensors() { return qwen3_moe; }

bool is_layered(const TensorRule& rule) {
  return std::string_view(rule.to).find('#') != std::string_view::npos;
}
bool is_stacked(const TensorRule& rule) {
  return std::string_view(rule.from).find(".experts.#.") != std::string_view::npos;
}

std::vector<std::int64_t> gguf_shape(const TensorRule& rule, const HfConfig& c) {
  if (rule.columns == nullptr) return {rule.rows(c)};
  const std::int64_t columns = rule.columns(c);
  if (rule.layout == Layout::key_half) return {c.nope, columns, c.heads};
  if (rule.layout == Layout::value_half) return {columns, c.v_dim, c.heads};
  if (is_stacked(rule)) return {columns, rule.rows(c), c.experts};
  return {columns, rule.rows(c)};
}

bool is_ignored(const HfConfig& config, const std::string& pattern) {
  return pattern == "model.layers.#.self_attn.rotary_emb.inv_freq" ||
         (config.tied && pattern == "lm_head.weight");
}

ParsedName parse_name(const std::string& name) {
  ParsedName parsed;
  if (name.find('#') != std::string::npos) return parsed;  // would pass for a pattern
  std::size_t n_numbers = 0;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('.', begin), name.size());
    const std::string part = name.substr(begin, end - begin);
    // A canonical number only, so that "03" is another name than "3".
    const bool number = !part.empty() && part.size() <= 6 &&
                        part.find_first_not_of("0123456789") == std::string::npos &&
                        (part == "0" || part[0] != '0');
    if (begin > 0) parsed.pattern += '.';
    if (number && n_numbers < parsed.numbers.size()) {
      parsed.numbers[n_numbers++] = std::stoi(part);
      parsed.pattern += '#';
    } else {
      parsed.pattern += part;
    }
    begin = end + 1;
  }
  return parsed;
}

std::string fill_name(const char* pattern, std::int64_t layer, std::int64_t expert) {
  std::string name;
  bool first = true;
  for (const char c : std::string_view(pattern)) {
    if (c != '#') {
      name += c;
      continue;
    }
    name += std::to_string(first ? layer : expert);
    first = false;
  }
  return name;
}

}  // namespace coterie::convert
