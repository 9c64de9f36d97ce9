// config.json of a Hugging Face folder: the sizes and rules of a model, checked against limits before
// anything uses them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace coterie::convert {

struct Architecture;

struct RopeScaling {
  std::string type;  // empty: none; "yarn", "llama3", "linear"
  double factor = 1;
  std::int64_t original_context = 0;
  std::optional<double> extrapolation, attention, beta_fast, beta_slow, mscale_all_dim;
  double low_frequency = 1, high_frequency = 4;  // llama3
};

struct HfConfig {
  const Architecture* architecture = nullptr;
  std::string name_or_path;

  std::int64_t layers = 0, context = 0, vocab = 0, hidden = 0, inner = 0;
  std::int64_t heads = 0, kv_heads = 0, head_dim = 0;
  std::int64_t q_lora = 0, kv_lora = 0, nope = 0, rope = 0, v_dim = 0;  // latent attention; q_lora 0: none
  std::int64_t experts = 0, experts_used = 0, expert_inner = 0, shared_experts = 0;
  std::int64_t groups = 0, groups_used = 0;            // 0: not said
  std::int64_t dense_layers = 0;                       // the first ones
  std::int64_t mtp_layers = 0;                         // after the last one
  std::int64_t scale_rows = 128, scale_columns = 128;  // of an FP8 block

  double rms_eps = 0, rope_theta = 0;
  std::optional<double> routed_scale;
  std::string gating;            // "sigmoid", "softmax"; empty: not said
  bool normalize = false;        // chosen weights divided by their sum
  bool correction_bias = false;  // experts are chosen with a bias
  bool tied = false;             // the head is the embedding
  RopeScaling scaling;
};

// One integer of config.json: where it goes and what is allowed.
struct IntegerField {
  const char* key;
  std::int64_t HfConfig::*member;
  std::int64_t low, high;
  std::optional<std::int64_t> fallback = std::nullopt;  // absent or null; none: the key must be there
};

// Throws FileError (not readable, no JSON) or ModelError (not known, missing, out of range), naming file and
// key.
HfConfig read_hf_config(const std::string& folder);
HfConfig parse_hf_config(std::string_view json, const std::string& subject);

// The fields of single architectures, beside those that every model has.
std::span<const IntegerField> deepseek_fields();
std::span<const IntegerField> qwen3_moe_fields();

}  // namespace coterie::convert
