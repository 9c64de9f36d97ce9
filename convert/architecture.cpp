#include "convert/architecture.h"

namespace coterie::convert {

std::span<const Architecture> architectures() {
  static const Architecture list[] = {
      {"DeepseekV2ForCausalLM", "deepseek2", "", true, deepseek_fields(), deepseek_tensors(),
       add_deepseek_keys},
      {"DeepseekV3ForCausalLM", "deepseek2", "noaux_tc", true, deepseek_fields(), deepseek_tensors(),
       add_deepseek_keys},
      {"LlamaForCausalLM", "llama", "", true, {}, llama_tensors(), add_llama_keys},
      {"Qwen2ForCausalLM", "qwen2", "", false, {}, qwen2_tensors(), add_qwen2_keys},
      {"Qwen3MoeForCausalLM", "qwen3moe", "", true, qwen3_moe_fields(), qwen3_moe_tensors(),
       add_qwen3_moe_keys},
  };
  return list;
}

const Architecture* find_architecture(const std::string& hf_class) {
  for (const Architecture& a : architectures())
    if (hf_class == a.hf_class) return &a;
  return nullptr;
}

}  // namespace coterie::convert
