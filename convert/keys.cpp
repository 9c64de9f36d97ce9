#include "convert/keys.h"

#include "base/errors.h"
#include "convert/architecture.h"
#include "convert/json_text.h"

#include <filesystem>
#include <optional>

namespace coterie::convert {

namespace fs = std::filesystem;

namespace {

constexpr JsonLimits config_limits{1ULL << 20, 32};
constexpr JsonLimits tokenizer_limits{64ULL << 20, 32};
constexpr std::uint64_t max_template_bytes = 1ULL << 20;

// Appends keys of one architecture: "deepseek2." is written once.
class Adder {
 public:
  Adder(const HfConfig& config, Keys& keys)
      : prefix_(std::string(config.architecture->gguf_name) + "."), keys_(keys) {}

  void count(const char* key, std::int64_t value) { add(key, static_cast<std::uint32_t>(value)); }
  void count_unless_zero(const char* key, std::int64_t value) {
    if (value != 0) count(key, value);
  }
  void number(const char* key, const std::optional<double>& value) {
    if (value) add(key, static_cast<float>(*value));
  }
  void add(const char* key, KeyValue value) { keys_.emplace_back(prefix_ + key, std::move(value)); }

 private:
  std::string prefix_;
  Keys& keys_;
};

void add_scaling_keys(const RopeScaling& s, Adder& keys) {
  if (s.type != "yarn" && s.type != "linear") return;  // llama3's is a tensor, rope_freqs
  keys.add("rope.scaling.type", s.type);
  keys.number("rope.scaling.factor", s.factor);
  if (s.type != "yarn") return;
  keys.count("rope.scaling.original_context_length", s.original_context);
  keys.number("rope.scaling.yarn_ext_factor", s.extrapolation);
  keys.number("rope.scaling.yarn_attn_factor", s.attention);
  keys.number("rope.scaling.yarn_beta_fast", s.beta_fast);
  keys.number("rope.scaling.yarn_beta_slow", s.beta_slow);
}

void add_common_keys(const HfConfig& c, std::uint32_t file_type, bool mtp, Keys& list) {
  const bool latent = c.kv_lora > 0;
  Adder keys(c, list);
  keys.count("block_count", c.layers + (mtp ? c.mtp_layers : 0));
  keys.count("context_length", c.context);
  keys.count("embedding_length", c.hidden);
  keys.count("feed_forward_length", c.inner);
  keys.count("attention.head_count", c.heads);
  keys.count("attention.head_count_kv", latent ? 1 : c.kv_heads);  // the latent is one key for all heads
  add_scaling_keys(c.scaling, keys);
  keys.number("rope.freq_base", c.rope_theta);
  keys.number("attention.layer_norm_rms_epsilon", c.rms_eps);
  keys.count_unless_zero("expert_count", c.experts);
  keys.count_unless_zero("expert_used_count", c.experts_used);
  keys.count_unless_zero("expert_group_count", c.groups);
  keys.count_unless_zero("expert_group_used_count", c.groups_used);
  if (!c.gating.empty()) keys.count("expert_gating_func", c.gating == "sigmoid" ? 2 : 1);
  if (c.architecture->states_head_size) {
    keys.count("attention.key_length", latent ? c.kv_lora + c.rope : c.head_dim);
    keys.count("attention.value_length", latent ? c.kv_lora : c.head_dim);
  }
  list.emplace_back("general.file_type", file_type);
}

// generation_config.json: sampling defaults of the model's makers.
void add_sampling_keys(const std::string& folder, Keys& keys) {
  const std::string path = folder + "/generation_config.json";
  if (!fs::exists(path)) return;
  const Json json = read_json(path, config_limits);
  struct Field {
    const char* from;
    const char* to;
    bool integer;
  };
  static constexpr Field fields[] = {
      {"top_k", "top_k", true},
      {"top_p", "top_p", false},
      {"min_p", "min_p", false},
      {"xtc_probability", "xtc_probability", false},
      {"xtc_threshold", "xtc_threshold", false},
      {"temperature", "temp", false},
      {"penalty_last_n", "penalty_last_n", true},
      {"penalty_repeat", "penalty_repeat", false},
      {"mirostat", "mirostat", true},
      {"mirostat_tau", "mirostat_tau", false},
      {"mirostat_eta", "mirostat_eta", false},
  };
  for (const Field& field : fields) {
    const auto value = json.is_object() ? json.find(field.from) : json.end();
    if (!json.is_object() || value == json.end() || value->is_null()) continue;
    const double x = value->is_number() ? value->get<double>() : -1e9;
    if (!(x >= -1 && x <= 1e9) || (field.integer && !value->is_number_integer()))
      throw ModelError(path + ": key " + field.from + ": found " + shown(*value) +
                       ", allowed are numbers from -1 to 1e9");
    const std::string to = std::string("general.sampling.") + field.to;
    if (field.integer)
      keys.emplace_back(to, static_cast<std::int32_t>(x));
    else
      keys.emplace_back(to, static_cast<float>(x));
  }
}

void add_name_keys(const KeySources& sources, Keys& keys) {
  const ModelName name = name_of_model(sources.config.name_or_path, sources.folder, sources.parameters.total);
  keys.emplace_back("general.name", name.name);
  if (name.version) keys.emplace_back("general.version", *name.version);
  if (name.organization) keys.emplace_back("general.organization", *name.organization);
  if (name.finetune) keys.emplace_back("general.finetune", *name.finetune);
  if (name.basename) keys.emplace_back("general.basename", *name.basename);
  keys.emplace_back("general.size_label", name.size_label.value_or(size_label(sources.parameters)));
}

}  // namespace

void write_keys(const Keys& keys, gguf::Writer& file) {
  for (const auto& entry : keys) {
    const std::string& key = entry.first;
    struct Visitor {
      gguf::Writer& file;
      const std::string& key;
      void operator()(const std::string& v) const { file.add_text(key, v); }
      void operator()(const std::vector<std::string>& v) const { file.add_texts(key, v); }
      void operator()(const std::vector<std::int32_t>& v) const { file.add_array<std::int32_t>(key, v); }
      void operator()(std::uint32_t v) const { file.add<std::uint32_t>(key, v); }
      void operator()(std::int32_t v) const { file.add<std::int32_t>(key, v); }
      void operator()(float v) const { file.add<float>(key, v); }
      void operator()(bool v) const { file.add<bool>(key, v); }
    };
    std::visit(Visitor{file, key}, entry.second);
  }
}

void add_architecture_keys(const HfConfig& config, std::uint32_t file_type, bool mtp, Keys& keys) {
  add_common_keys(config, file_type, mtp, keys);
  config.architecture->keys(config, keys);
  if (mtp) Adder(config, keys).count("nextn_predict_layers", config.mtp_layers);
}

Keys model_keys(const KeySources& sources) {
  const HfConfig& config = sources.config;
  Keys keys;
  keys.emplace_back("general.architecture", config.architecture->gguf_name);
  keys.emplace_back("general.type", "model");
  add_sampling_keys(sources.folder, keys);
  add_name_keys(sources, keys);
  add_architecture_keys(config, sources.file_type, sources.mtp, keys);
  keys.emplace_back("general.quantization_version", std::uint32_t{2});
  return keys;
}

void add_deepseek_keys(const HfConfig& c, Keys& list) {
  Adder keys(c, list);
  keys.count("leading_dense_block_count", c.dense_layers);
  keys.count("vocab_size", c.vocab);
  keys.count_unless_zero("attention.q_lora_rank", c.q_lora);
  keys.count("attention.kv_lora_rank", c.kv_lora);
  keys.count("attention.key_length_mla", c.nope + c.rope);
  keys.count("attention.value_length_mla", c.v_dim);
  keys.count("expert_feed_forward_length", c.expert_inner);
  keys.count("expert_shared_count", c.shared_experts);
  keys.number("expert_weights_scale", c.routed_scale);
  if (c.normalize) keys.add("expert_weights_norm", true);
  keys.count("rope.dimension_count", c.rope);
  // A tenth of mscale_all_dim: for DeepSeek the file has the factor of the logarithm itself.
  if (c.scaling.mscale_all_dim)
    keys.number("rope.scaling.yarn_log_multiplier", 0.1 * *c.scaling.mscale_all_dim);
}

void add_llama_keys(const HfConfig& c, Keys& list) {
  Adder keys(c, list);
  keys.count("vocab_size", c.vocab);
  keys.count("rope.dimension_count", c.head_dim);
}

void add_qwen2_keys(const HfConfig&, Keys&) {}

void add_qwen3_moe_keys(const HfConfig& c, Keys& list) {
  Adder(c, list).count("expert_feed_forward_length", c.expert_inner);
}

void add_tokenizer_keys(const HfConfig& config, Vocabulary v, Keys& keys) {
  if (static_cast<std::int64_t>(v.tokens.size()) != config.vocab)
    throw ModelError("tokenizer: " + std::to_string(v.tokens.size()) + " tokens, the embedding has " +
                     std::to_string(config.vocab) + " rows");
  std::vector<std::int32_t> kinds;
  for (const TokenKind kind : v.kinds) kinds.push_back(static_cast<std::int32_t>(kind));
  keys.emplace_back("tokenizer.ggml.model", v.model);
  keys.emplace_back("tokenizer.ggml.pre", v.pre);
  keys.emplace_back("tokenizer.ggml.tokens", std::move(v.tokens));
  keys.emplace_back("tokenizer.ggml.token_type", std::move(kinds));
  keys.emplace_back("tokenizer.ggml.merges", std::move(v.merges));
  if (v.bos) keys.emplace_back("tokenizer.ggml.bos_token_id", static_cast<std::uint32_t>(*v.bos));
  if (v.eos) keys.emplace_back("tokenizer.ggml.eos_token_id", static_cast<std::uint32_t>(*v.eos));
  if (v.pad) keys.emplace_back("tokenizer.ggml.padding_token_id", static_cast<std::uint32_t>(*v.pad));
  keys.emplace_back("tokenizer.ggml.add_bos_token", v.add_bos);
  keys.emplace_back("tokenizer.ggml.add_eos_token", v.add_eos);
}

// The value of "chat_template": a text, or a list of named ones, of which the default counts.
static std::optional<std::string> template_in(const std::string& path) {
  if (!fs::exists(path)) return std::nullopt;
  const Json json = read_json(path, tokenizer_limits);
  const auto found = json.is_object() ? json.find("chat_template") : json.end();
  if (!json.is_object() || found == json.end()) return std::nullopt;
  if (found->is_string()) return found->get<std::string>();
  if (found->is_array())
    for (const Json& entry : *found)
      if (entry.is_object() && entry.value("name", Json()) == "default" &&
          entry.value("template", Json()).is_string())
        return entry["template"].get<std::string>();
  return std::nullopt;
}

void add_template_key(const std::string& folder, Keys& keys) {
  const std::string jinja = folder + "/chat_template.jinja";
  std::optional<std::string> text = template_in(folder + "/tokenizer_config.json");
  if (!text && fs::exists(jinja)) text = read_text(jinja, max_template_bytes);
  if (!text) text = template_in(folder + "/chat_template.json");
  if (text) keys.emplace_back("tokenizer.chat_template", *text);
}

}  // namespace coterie::convert
