// Sizes of public DeepSeek-type models, from the config.json of their releases, for models of random weights.
#pragma once

#include <cstdint>
#include <string>

namespace coterie::bench {

struct Shape {
  std::string name;
  std::int64_t vocabulary, context, dim, heads;
  std::int64_t q_lora, kv_lora, nope, rope, v;
  std::int64_t dense_inner, expert_inner;
  std::int64_t dense_layers, moe_layers;
  std::int64_t experts, used, shared, groups, groups_used;
  bool sigmoid, normalize;
  float scale;                             // routed_scaling_factor
  float rope_base, yarn_factor, yarn_log;  // yarn_log: 0.1 * mscale_all_dim
  std::int64_t original_context;
};

// deepseek-r1, deepseek-v2-lite, kimi-k2, or a file with the keys of a config.json; a key that the file lacks is
// DeepSeek-R1's. Throws UsageError (unknown name), FileError (the file).
Shape find_shape(const std::string& name_or_file);

}  // namespace coterie::bench
