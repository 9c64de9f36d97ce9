#include "bench/shapes.h"

#include "base/errors.h"
#include "base/json.h"

namespace coterie::bench {

namespace {

struct Release {
  const char* name;
  const char* config;
};

// What the config.json of each release says: https://huggingface.co/deepseek-ai/DeepSeek-R1,
// https://huggingface.co/deepseek-ai/DeepSeek-V2-Lite, https://huggingface.co/moonshotai/Kimi-K2-Instruct.
constexpr Release releases[] = {
    {"deepseek-r1", R"({
      "architectures": ["DeepseekV3ForCausalLM"], "vocab_size": 129280, "max_position_embeddings": 163840,
      "hidden_size": 7168, "intermediate_size": 18432, "moe_intermediate_size": 2048, "num_hidden_layers": 61,
      "first_k_dense_replace": 3, "num_attention_heads": 128, "num_key_value_heads": 128, "q_lora_rank": 1536,
      "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
      "n_routed_experts": 256, "num_experts_per_tok": 8, "n_shared_experts": 1, "n_group": 8, "topk_group": 4,
      "topk_method": "noaux_tc", "scoring_func": "sigmoid", "norm_topk_prob": true, "routed_scaling_factor": 2.5,
      "rms_norm_eps": 1e-6, "rope_theta": 10000, "rope_scaling": {"type": "yarn", "factor": 40, "beta_fast": 32,
      "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0, "original_max_position_embeddings": 4096}})"},
    {"deepseek-v2-lite", R"({
      "architectures": ["DeepseekV2ForCausalLM"], "vocab_size": 102400, "max_position_embeddings": 163840,
      "hidden_size": 2048, "intermediate_size": 10944, "moe_intermediate_size": 1408, "num_hidden_layers": 27,
      "first_k_dense_replace": 1, "num_attention_heads": 16, "num_key_value_heads": 16, "q_lora_rank": null,
      "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
      "n_routed_experts": 64, "num_experts_per_tok": 6, "n_shared_experts": 2, "n_group": 1, "topk_group": 1,
      "topk_method": "greedy", "scoring_func": "softmax", "norm_topk_prob": false, "routed_scaling_factor": 1.0,
      "rms_norm_eps": 1e-6, "rope_theta": 10000, "rope_scaling": {"type": "yarn", "factor": 40, "beta_fast": 32,
      "beta_slow": 1, "mscale": 0.707, "mscale_all_dim": 0.707, "original_max_position_embeddings": 4096}})"},
    {"kimi-k2", R"({
      "architectures": ["DeepseekV3ForCausalLM"], "vocab_size": 163840, "max_position_embeddings": 131072,
      "hidden_size": 7168, "intermediate_size": 18432, "moe_intermediate_size": 2048, "num_hidden_layers": 61,
      "first_k_dense_replace": 1, "num_attention_heads": 64, "num_key_value_heads": 64, "q_lora_rank": 1536,
      "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
      "n_routed_experts": 384, "num_experts_per_tok": 8, "n_shared_experts": 1, "n_group": 1, "topk_group": 1,
      "topk_method": "noaux_tc", "scoring_func": "sigmoid", "norm_topk_prob": true, "routed_scaling_factor": 2.827,
      "rms_norm_eps": 1e-6, "rope_theta": 50000, "rope_scaling": {"type": "yarn", "factor": 32, "beta_fast": 1,
      "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0, "original_max_position_embeddings": 4096}})"},
};

convert::HfConfig without_mtp(convert::HfConfig config) {
  config.mtp_layers = 0;
  return config;
}

}  // namespace

convert::HfConfig find_shape(const std::string& name) {
  std::string known;
  for (const Release& release : releases) {
    if (release.name == name) return without_mtp(convert::parse_hf_config(release.config, name));
    known += release.name + std::string(", ");
  }
  constexpr std::uint64_t max_bytes = 1 << 20;
  if (name.ends_with(".json")) return without_mtp(convert::parse_hf_config(read_text(name, max_bytes), name));
  throw UsageError("--shape: " + name + ", expected one of " + known + "or a .json file");
}

}  // namespace coterie::bench
