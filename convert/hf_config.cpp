#include "convert/hf_config.h"

#include "base/errors.h"
#include "convert/architecture.h"
#include "convert/json_text.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <utility>

namespace coterie::convert {

namespace {

constexpr JsonLimits limits{1ULL << 20, 32};

constexpr std::int64_t max_width = 1 << 20;
constexpr std::int64_t max_inner = 1 << 24;

constexpr IntegerField common[] = {
    {"num_hidden_layers", &HfConfig::layers, 1, 1024},
    {"max_position_embeddings", &HfConfig::context, 1, 1 << 30},
    {"vocab_size", &HfConfig::vocab, 1, 1 << 24},
    {"hidden_size", &HfConfig::hidden, 1, max_width},
    {"intermediate_size", &HfConfig::inner, 1, max_inner},
    {"num_attention_heads", &HfConfig::heads, 1, 4096},
    {"num_key_value_heads", &HfConfig::kv_heads, 1, 4096, 0},
    {"head_dim", &HfConfig::head_dim, 2, 1 << 16, 0},
};

constexpr IntegerField deepseek[] = {
    {"q_lora_rank", &HfConfig::q_lora, 1, max_width, 0},
    {"kv_lora_rank", &HfConfig::kv_lora, 1, max_width},
    {"qk_nope_head_dim", &HfConfig::nope, 1, 1 << 16},
    {"qk_rope_head_dim", &HfConfig::rope, 2, 1 << 16},
    {"v_head_dim", &HfConfig::v_dim, 1, 1 << 16},
    {"n_routed_experts", &HfConfig::experts, 1, 4096},
    {"num_experts_per_tok", &HfConfig::experts_used, 1, 4096},
    {"moe_intermediate_size", &HfConfig::expert_inner, 1, max_inner},
    {"n_shared_experts", &HfConfig::shared_experts, 0, 1024, 0},
    {"n_group", &HfConfig::groups, 1, 4096, 0},
    {"topk_group", &HfConfig::groups_used, 1, 4096, 0},
    {"first_k_dense_replace", &HfConfig::dense_layers, 0, 1024, 0},
    {"num_nextn_predict_layers", &HfConfig::mtp_layers, 0, 16, 0},
};

constexpr IntegerField qwen3_moe[] = {
    {"num_experts", &HfConfig::experts, 1, 4096},
    {"num_experts_per_tok", &HfConfig::experts_used, 1, 4096},
    {"moe_intermediate_size", &HfConfig::expert_inner, 1, max_inner},
};

// One object of the file, read key by key; every fault names file and key.
class Section {
 public:
  Section(const Json& object, std::string subject) : object_(&object), subject_(std::move(subject)) {}

  // Null counts as absent, as it does for the models' own code.
  const Json* find(const char* key) const {
    const auto found = object_->find(key);
    return found == object_->end() || found->is_null() ? nullptr : &*found;
  }

  [[noreturn]] void fault(const std::string& key, const std::string& what) const {
    throw ModelError(subject_ + ": key " + key + ": " + what);
  }

  std::int64_t integer(const IntegerField& field) const {
    const Json* value = find(field.key);
    if (value == nullptr) {
      if (!field.fallback) fault(field.key, "missing");
      return *field.fallback;
    }
    const bool fits = value->is_number_integer() &&
                      !(value->is_number_unsigned() && value->get<std::uint64_t>() > INT64_MAX) &&
                      value->get<std::int64_t>() >= field.low && value->get<std::int64_t>() <= field.high;
    if (!fits)
      fault(field.key, "found " + shown(*value) + ", allowed are integers from " + std::to_string(field.low) +
                           " to " + std::to_string(field.high));
    return value->get<std::int64_t>();
  }

  std::optional<double> number(const char* key, double low, double high) const {
    const Json* value = find(key);
    if (value == nullptr) return std::nullopt;
    const double x = value->is_number() ? value->get<double>() : NAN;
    if (!(x >= low && x <= high))
      fault(key, "found " + shown(*value) + ", allowed are numbers from " + shown(Json(low)) + " to " +
                     shown(Json(high)));
    return x;
  }

  bool flag(const char* key, bool fallback) const {
    const Json* value = find(key);
    if (value == nullptr) return fallback;
    if (!value->is_boolean()) fault(key, "found " + shown(*value) + ", expected true or false");
    return value->get<bool>();
  }

  std::string text(const char* key, const std::string& fallback) const {
    const Json* value = find(key);
    if (value == nullptr) return fallback;
    if (!value->is_string()) fault(key, "found " + shown(*value) + ", expected a text");
    return value->get<std::string>();
  }

  std::optional<Section> section(const char* key) const {
    const Json* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_object()) fault(key, "found " + shown(*value) + ", expected an object");
    return Section(*value, subject_ + ": " + key);
  }

  // A text that must be one of those given.
  std::string choice(const char* key, std::initializer_list<const char*> allowed,
                     const std::string& fallback) const {
    const std::string value = text(key, fallback);
    if (value == fallback) return value;
    std::string list;
    for (const char* a : allowed) {
      if (value == a) return value;
      list += list.empty() ? a : std::string(", ") + a;
    }
    fault(key, "found " + shown(Json(value)) + ", allowed are " + list);
  }

 private:
  const Json* object_;
  std::string subject_;
};

const Architecture& read_architecture(const Section& config) {
  const Json* list = config.find("architectures");
  if (list == nullptr || !list->is_array() || list->empty() || !list->front().is_string())
    config.fault("architectures", "missing or no list of texts");
  const Architecture* found = find_architecture(list->front().get<std::string>());
  if (found != nullptr) return *found;
  std::string known;
  for (const Architecture& a : architectures())
    known += (known.empty() ? "" : ", ") + std::string(a.hf_class);
  config.fault("architectures", "found " + shown(list->front()) + ", known are " + known);
}

RopeScaling read_scaling(const Section& config) {
  // Newer releases call the object rope_parameters and keep rope_theta in it.
  std::optional<Section> s = config.section("rope_parameters");
  if (!s) s = config.section("rope_scaling");
  RopeScaling scaling;
  if (!s) return scaling;
  scaling.type = s->choice(s->find("rope_type") != nullptr ? "rope_type" : "type",
                           {"yarn", "llama3", "linear", "default"}, "");
  if (scaling.type == "default") scaling.type.clear();
  if (scaling.type.empty()) return scaling;

  const std::optional<double> factor = s->number("factor", 1, 1e6);
  if (!factor) s->fault("factor", "missing");
  scaling.factor = *factor;
  if (scaling.type == "linear") return scaling;
  scaling.original_context =
      s->integer({"original_max_position_embeddings", nullptr, 1, 1 << 30, std::nullopt});
  scaling.extrapolation = s->number("extrapolation_factor", 0, 1e6);
  scaling.attention = s->number("attention_factor", 0, 1e6);
  if (!scaling.attention) scaling.attention = s->number("attn_factor", 0, 1e6);
  scaling.beta_fast = s->number("beta_fast", 0, 1e6);
  scaling.beta_slow = s->number("beta_slow", 0, 1e6);
  scaling.mscale_all_dim = s->number("mscale_all_dim", 0, 1e3);
  scaling.low_frequency = s->number("low_freq_factor", 1e-3, 1e6).value_or(1);
  scaling.high_frequency = s->number("high_freq_factor", 1e-3, 1e6).value_or(4);
  if (scaling.low_frequency == scaling.high_frequency) s->fault("high_freq_factor", "equals low_freq_factor");
  return scaling;
}

void read_fp8(const Section& config, HfConfig& c) {
  const std::optional<Section> q = config.section("quantization_config");
  if (!q) return;
  q->choice("quant_method", {"fp8"}, "none");
  q->choice("fmt", {"e4m3"}, "e4m3");
  const Json* block = q->find("weight_block_size");
  if (block == nullptr) return;
  if (!block->is_array() || block->size() != 2)
    q->fault("weight_block_size", "found " + shown(*block) + ", expected two integers");
  const Json named = {{"weight_block_size[0]", (*block)[0]}, {"weight_block_size[1]", (*block)[1]}};
  const Section sizes(named, "quantization_config");
  c.scale_rows = sizes.integer({"weight_block_size[0]", nullptr, 1, max_inner, std::nullopt});
  c.scale_columns = sizes.integer({"weight_block_size[1]", nullptr, 1, max_inner, std::nullopt});
}

// Relations between fields, on which shapes and kernels rely.
void check_relations(const Section& config, HfConfig& c) {
  if (c.kv_heads == 0) c.kv_heads = c.heads;
  if (c.heads % c.kv_heads != 0)
    config.fault("num_key_value_heads", std::to_string(c.kv_heads) + " does not divide the " +
                                            std::to_string(c.heads) + " attention heads");
  const bool latent = c.kv_lora > 0;
  if (c.head_dim == 0 && !latent) {
    if (c.hidden % c.heads != 0)
      config.fault("num_attention_heads",
                   std::to_string(c.heads) + " does not divide hidden_size " + std::to_string(c.hidden));
    c.head_dim = c.hidden / c.heads;
  }
  if ((latent ? c.rope : c.head_dim) % 2 != 0)
    config.fault(latent ? "qk_rope_head_dim" : "head_dim", "is odd, rotation needs pairs");
  if (c.experts_used > c.experts)
    config.fault("num_experts_per_tok",
                 std::to_string(c.experts_used) + " of " + std::to_string(c.experts) + " experts");
  if (c.groups > 0 && c.experts % c.groups != 0)
    config.fault("n_group",
                 std::to_string(c.groups) + " does not divide " + std::to_string(c.experts) + " experts");
  if (c.groups_used > std::max<std::int64_t>(c.groups, 1))
    config.fault("topk_group", std::to_string(c.groups_used) + " of " + std::to_string(c.groups) + " groups");
  if (c.groups > 0 && c.groups_used > 0 && c.experts_used > c.groups_used * (c.experts / c.groups))
    config.fault("topk_group", std::to_string(c.groups_used) + " groups of " +
                                   std::to_string(c.experts / c.groups) + " experts cannot give " +
                                   std::to_string(c.experts_used));
  if (c.dense_layers > c.layers)
    config.fault("first_k_dense_replace",
                 std::to_string(c.dense_layers) + " of " + std::to_string(c.layers) + " layers");
}

}  // namespace

std::span<const IntegerField> deepseek_fields() { return deepseek; }
std::span<const IntegerField> qwen3_moe_fields() { return qwen3_moe; }

HfConfig parse_hf_config(std::string_view json, const std::string& subject) {
  const Json object = parse_json(json, limits, subject);
  if (!object.is_object()) throw ModelError(subject + ": found " + shown(object) + ", expected an object");
  const Section config(object, subject);

  HfConfig c;
  c.architecture = &read_architecture(config);
  for (const IntegerField& field : common) c.*field.member = config.integer(field);
  for (const IntegerField& field : c.architecture->fields) c.*field.member = config.integer(field);

  c.name_or_path = config.text("_name_or_path", "");
  c.rms_eps = config.number("rms_norm_eps", 1e-12, 1e-1).value_or(1e-6);
  c.rope_theta = config.number("rope_theta", 1, 1e12).value_or(10000);
  if (const std::optional<Section> rope = config.section("rope_parameters"))
    c.rope_theta = rope->number("rope_theta", 1, 1e12).value_or(c.rope_theta);
  c.routed_scale = config.number("routed_scaling_factor", 0, 1e6);
  c.gating = config.choice("scoring_func", {"sigmoid", "softmax"}, "");
  c.normalize = config.flag("norm_topk_prob", false);
  c.tied = config.flag("tie_word_embeddings", false);
  c.correction_bias = config.text("topk_method", c.architecture->selection) == "noaux_tc";
  config.choice("hidden_act", {"silu"}, "silu");
  config.integer({"moe_layer_freq", nullptr, 1, 1, 1});
  c.scaling = read_scaling(config);
  read_fp8(config, c);
  check_relations(config, c);
  return c;
}

HfConfig read_hf_config(const std::string& folder) {
  const std::string path = folder + "/config.json";
  return parse_hf_config(read_text(path, limits.max_bytes), path);
}

}  // namespace coterie::convert
