#include "bench/shapes.h"

#include "base/errors.h"
#include "base/json.h"

namespace coterie::bench {

namespace {

const Shape shapes[] = {
    {.name = "deepseek-r1",
     .vocabulary = 129280,
     .context = 163840,
     .dim = 7168,
     .heads = 128,
     .q_lora = 1536,
     .kv_lora = 512,
     .nope = 128,
     .rope = 64,
     .v = 128,
     .dense_inner = 18432,
     .expert_inner = 2048,
     .dense_layers = 3,
     .moe_layers = 58,
     .experts = 256,
     .used = 8,
     .shared = 1,
     .groups = 8,
     .groups_used = 4,
     .sigmoid = true,
     .normalize = true,
     .scale = 2.5F,
     .rope_base = 10000,
     .yarn_factor = 40,
     .yarn_log = 0.1F,
     .original_context = 4096},
    {.name = "deepseek-v2-lite",
     .vocabulary = 102400,
     .context = 163840,
     .dim = 2048,
     .heads = 16,
     .q_lora = 0,
     .kv_lora = 512,
     .nope = 128,
     .rope = 64,
     .v = 128,
     .dense_inner = 10944,
     .expert_inner = 1408,
     .dense_layers = 1,
     .moe_layers = 26,
     .experts = 64,
     .used = 6,
     .shared = 2,
     .groups = 1,
     .groups_used = 1,
     .sigmoid = false,
     .normalize = false,
     .scale = 1.0F,
     .rope_base = 10000,
     .yarn_factor = 40,
     .yarn_log = 0.0707F,
     .original_context = 4096},
    {.name = "kimi-k2",
     .vocabulary = 163840,
     .context = 131072,
     .dim = 7168,
     .heads = 64,
     .q_lora = 1536,
     .kv_lora = 512,
     .nope = 128,
     .rope = 64,
     .v = 128,
     .dense_inner = 18432,
     .expert_inner = 2048,
     .dense_layers = 1,
     .moe_layers = 60,
     .experts = 384,
     .used = 8,
     .shared = 1,
     .groups = 1,
     .groups_used = 1,
     .sigmoid = true,
     .normalize = true,
     .scale = 2.827F,
     .rope_base = 50000,
     .yarn_factor = 32,
     .yarn_log = 0.1F,
     .original_context = 4096},
};

using Json = nlohmann::ordered_json;

// Whole numbers of a config.json and where they go.
struct Key {
  const char* name;
  std::int64_t Shape::*value;
  std::int64_t low, high;
};
constexpr std::int64_t max_width = 1 << 20;
constexpr Key keys[] = {
    {"vocab_size", &Shape::vocabulary, 320, max_width},
    {"max_position_embeddings", &Shape::context, 1, std::int64_t{1} << 31},
    {"hidden_size", &Shape::dim, 32, max_width},
    {"num_attention_heads", &Shape::heads, 1, 4096},
    {"q_lora_rank", &Shape::q_lora, 0, max_width},
    {"kv_lora_rank", &Shape::kv_lora, 32, max_width},
    {"qk_nope_head_dim", &Shape::nope, 32, 4096},
    {"qk_rope_head_dim", &Shape::rope, 2, 4096},
    {"v_head_dim", &Shape::v, 1, 4096},
    {"intermediate_size", &Shape::dense_inner, 32, max_width},
    {"moe_intermediate_size", &Shape::expert_inner, 32, max_width},
    {"first_k_dense_replace", &Shape::dense_layers, 0, 1024},
    {"n_routed_experts", &Shape::experts, 1, 4096},
    {"num_experts_per_tok", &Shape::used, 1, 4096},
    {"n_shared_experts", &Shape::shared, 0, 64},
    {"n_group", &Shape::groups, 1, 4096},
    {"topk_group", &Shape::groups_used, 1, 4096},
};

std::int64_t whole(const Json& config, const std::string& file, const Key& k) {
  const Json& value = config.at(k.name);
  if (value.is_null() && k.low == 0) return 0;  // q_lora_rank of V2-Lite
  if (!value.is_number_integer() || value < k.low || value > k.high)
    throw FileError(file + ": key " + k.name + ": expected a whole number from " + std::to_string(k.low) +
                    " to " + std::to_string(k.high));
  return value;
}

void check(const Shape& s) {
  if (s.used > s.experts || s.experts % s.groups != 0 || s.groups_used > s.groups ||
      s.groups_used * (s.experts / s.groups) < s.used)
    throw FileError(s.name + ": " + std::to_string(s.experts) + " experts in " + std::to_string(s.groups) +
                    " groups, of which " + std::to_string(s.groups_used) + ", cannot give " +
                    std::to_string(s.used));
  if (s.rope % 2 != 0) throw FileError(s.name + ": key qk_rope_head_dim: expected an even number");
}

Shape read_shape(const std::string& path) {
  const Json config = read_json(path, {1 << 20, 32});
  if (!config.is_object()) throw FileError(path + ": expected a JSON object with the keys of a config.json");
  Shape s = shapes[0];
  s.name = path;
  for (const Key& k : keys)
    if (config.contains(k.name)) s.*k.value = whole(config, path, k);
  if (config.contains("num_hidden_layers"))
    s.moe_layers = whole(config, path, {"num_hidden_layers", nullptr, s.dense_layers, 1024}) - s.dense_layers;
  if (config.contains("scoring_func")) s.sigmoid = config["scoring_func"] == "sigmoid";
  if (config.contains("norm_topk_prob")) s.normalize = config["norm_topk_prob"] == true;
  check(s);
  return s;
}

}  // namespace

Shape find_shape(const std::string& name) {
  std::string known;
  for (const Shape& s : shapes) {
    if (s.name == name) return s;
    known += s.name + ", ";
  }
  if (name.ends_with(".json")) return read_shape(name);
  throw UsageError("--shape: " + name + ", expected one of " + known + "or a .json file");
}

}  // namespace coterie::bench
