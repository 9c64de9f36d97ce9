#include "models/deepseek/config.h"

#include "base/errors.h"
#include "models/rope.h"

#include <cmath>
#include <string>

namespace coterie::deepseek {

namespace {

// Limits of sizes.
constexpr std::int64_t max_width = 1 << 20;
constexpr std::int64_t max_layers = 1024;
constexpr std::int64_t max_heads = 4096;
constexpr std::int64_t max_experts = 4096;

std::string key(const char* name) { return std::string("deepseek2.") + name; }

[[noreturn]] void bad(const gguf::Reader& file, const std::string& what) {
  throw ModelError(file.path() + ": " + what);
}

// Files from before the group keys (2025) leave the groups of the releases unsaid. Sources: n_group and
// topk_group in the config.json of DeepSeek-V3 / R1 (256 experts) and of DeepSeek-V2 (160 experts).
struct KnownGroups {
  std::int64_t n_experts, n_layers, n_groups, n_used;
};
constexpr KnownGroups known_groups[] = {{256, 61, 8, 4}, {160, 60, 8, 3}};

void read_groups(const gguf::Reader& f, std::int64_t n_layers, Routing& r) {
  std::int64_t groups = 1;
  std::int64_t used = 1;
  for (const KnownGroups& k : known_groups)
    if (k.n_experts == r.n_experts && k.n_layers == n_layers) {
      groups = k.n_groups;
      used = k.n_used;
    }
  r.n_groups = std::max<std::int64_t>(1, f.integer(key("expert_group_count"), 0, r.n_experts, groups));
  r.n_groups_used = f.integer(key("expert_group_used_count"), 0, r.n_groups, std::min(used, r.n_groups));
  if (r.n_groups == 1) r.n_groups_used = 1;
  if (r.n_experts % r.n_groups != 0)
    bad(f, "key deepseek2.expert_group_count: " + std::to_string(r.n_groups) + ", expected a divisor of " +
               std::to_string(r.n_experts) + " experts");
  if (r.n_groups_used < 1 || r.n_groups_used * (r.n_experts / r.n_groups) < r.n_used)
    bad(f, "key deepseek2.expert_group_used_count: " + std::to_string(r.n_groups_used) +
               " groups hold fewer than the " + std::to_string(r.n_used) + " experts to choose");
}

Routing read_routing(const gguf::Reader& f, std::int64_t n_layers) {
  Routing r{};
  r.n_experts = f.integer(key("expert_count"), 1, max_experts);
  r.n_used = f.integer(key("expert_used_count"), 1, r.n_experts);
  // Before the key existed there were only softmax models without and sigmoid models with a correction bias.
  bool has_bias = false;
  for (const gguf::TensorInfo& t : f.tensors())
    has_bias = has_bias || t.name.find("exp_probs_b") != std::string::npos;
  r.gating = static_cast<Gating>(f.integer(key("expert_gating_func"), 1, 2, has_bias ? 2 : 1));
  r.normalize =
      f.flag(key("expert_weights_norm"), r.gating == Gating::sigmoid && !f.has(key("expert_gating_func")));
  r.scale = f.number(key("expert_weights_scale"), 1.0F);
  if (r.scale == 0.0F) r.scale = 1.0F;  // how some writers say "none"
  read_groups(f, n_layers, r);
  return r;
}

// Head widths. Files with the latent keys give the real ones as *_mla; older files as key_length and
// value_length.
void read_heads(const gguf::Reader& f, Config& c) {
  const bool mla = f.has(key("attention.key_length_mla"));
  c.n_heads = f.integer(key("attention.head_count"), 1, max_heads);
  c.q_lora_rank = f.integer(key("attention.q_lora_rank"), 0, max_width, 0);
  c.kv_lora_rank = f.integer(key("attention.kv_lora_rank"), 1, max_width);
  c.rope = f.integer(key("rope.dimension_count"), 2, max_width);
  const std::int64_t qk =
      f.integer(key(mla ? "attention.key_length_mla" : "attention.key_length"), 1, max_width);
  c.v_dim = f.integer(key(mla ? "attention.value_length_mla" : "attention.value_length"), 1, max_width);
  c.nope = qk - c.rope;
  if (c.rope % 2 != 0)
    bad(f, "key deepseek2.rope.dimension_count: " + std::to_string(c.rope) + ", expected an even number");
  if (c.nope < 1)
    bad(f, "key deepseek2.attention.key_length: " + std::to_string(qk) +
               ", expected more than rope.dimension_count " + std::to_string(c.rope));
}

// scale = qk^-1/2 * m^2 with m = 0.1 * mscale_all_dim * ln(factor) + 1; the file holds 0.1 * mscale_all_dim.
void read_rope(const gguf::Reader& f, Config& c) {
  const float base = f.number(key("rope.freq_base"), 10000.0F);
  if (!(base > 1))
    bad(f, "key deepseek2.rope.freq_base: " + std::to_string(base) + ", expected a number above 1");
  double m = 1;
  if (f.text(key("rope.scaling.type"), "none") == "yarn") {
    const YarnScaling yarn{.factor = f.number(key("rope.scaling.factor")),
                           .original_context = static_cast<float>(
                               f.integer(key("rope.scaling.original_context_length"), 1, 1 << 30)),
                           .beta_fast = f.number(key("rope.scaling.yarn_beta_fast"), 32.0F),
                           .beta_slow = f.number(key("rope.scaling.yarn_beta_slow"), 1.0F)};
    if (!(yarn.factor >= 1 && yarn.beta_fast > 0 && yarn.beta_slow > 0))
      bad(f, "key deepseek2.rope.scaling.factor: " + std::to_string(yarn.factor) +
                 ", expected at least 1 and positive betas");
    c.inv_freq = yarn_frequencies(c.rope, base, yarn);
    if (yarn.factor > 1)
      m = static_cast<double>(f.number(key("rope.scaling.yarn_log_multiplier"), 0.0F)) *
              std::log(static_cast<double>(yarn.factor)) +
          1;
  } else {
    c.inv_freq = plain_frequencies(c.rope, base);
  }
  c.attention_scale = static_cast<float>(m * m / std::sqrt(static_cast<double>(c.nope + c.rope)));
}

}  // namespace

Config read_config(const gguf::Reader& f) {
  Config c{};
  c.context_length = f.integer(key("context_length"), 1, std::int64_t{1} << 31);
  c.dim = f.integer(key("embedding_length"), 1, max_width);
  const std::int64_t blocks = f.integer(key("block_count"), 1, max_layers);
  c.n_layers = blocks - f.integer(key("nextn_predict_layers"), 0, blocks - 1, 0);
  c.n_dense_layers = f.integer(key("leading_dense_block_count"), 0, c.n_layers, 0);
  read_heads(f, c);
  c.dense_inner = f.integer(key("feed_forward_length"), 1, max_width);
  if (c.n_dense_layers < c.n_layers) {
    c.expert_inner = f.integer(key("expert_feed_forward_length"), 1, max_width);
    c.shared_inner = f.integer(key("expert_shared_count"), 0, max_experts, 0) * c.expert_inner;
    c.routing = read_routing(f, c.n_layers);
  }
  c.norm_eps = f.number(key("attention.layer_norm_rms_epsilon"));
  if (!(c.norm_eps >= 0))
    bad(f, "key deepseek2.attention.layer_norm_rms_epsilon: expected a number of at least 0");
  read_rope(f, c);
  return c;
}

}  // namespace coterie::deepseek
