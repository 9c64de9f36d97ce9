#include "quantize/choose.h"

#include "base/errors.h"
#include "gguf/reader.h"
#include "quantize/fallback.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <tuple>

namespace coterie::quantize {

namespace {

// Architectures whose tensors have the usual names and that llama.cpp treats by its general rules.
constexpr std::string_view usual_architectures[] = {
    "llama",    "llama4",       "mistral3",    "deepseek",    "deepseek2",  "glm-dsa",
    "qwen2",    "qwen2moe",     "qwen3",       "qwen3moe",    "qwen3next",  "glm4",
    "glm4moe",  "gemma",        "gemma2",      "gemma3",      "phi3",       "phimoe",
    "olmo2",    "olmoe",        "granite",     "granitemoe",  "minimax-m2", "gpt-oss",
    "ernie4_5", "ernie4_5-moe", "hunyuan-moe", "bailingmoe2", "smollm3",
};

// Part of the name: small and sensitive, or no matrix that rows are multiplied with. As llama.cpp leaves them.
constexpr std::string_view kept_names[] = {"_norm.weight",
                                           "ffn_gate_inp.weight",
                                           "ffn_gate_tid2eid.weight",
                                           "ssm_conv1d",
                                           "shortconv.conv.weight",
                                           "indexer.k_proj.weight",
                                           "indexer.q_proj.weight",
                                           "position_embd",
                                           "token_types.weight",
                                           "per_layer_model_proj",
                                           "altup",
                                           "laurel"};

struct NamedPart {
  std::string_view in_name;
  Part part;
};
constexpr NamedPart named_parts[] = {
    {"attn_qkv.weight", Part::attention_value},
    {"attn_kv_b.weight", Part::attention_value},
    {"attn_v.weight", Part::attention_value},
    {"attn_k.weight", Part::attention_key},
    {"attn_q.weight", Part::attention_query},
    {"attn_output.weight", Part::attention_output},
    {"ffn_up", Part::up},
    {"ffn_gate", Part::gate},
    {"ffn_down", Part::down},
};

bool has(std::string_view name, std::string_view part) { return name.find(part) != std::string_view::npos; }

Part part_of(std::string_view name, bool tied) {
  if (name == "output.weight" || (tied && name == "token_embd.weight")) return Part::output;
  if (name == "token_embd.weight") return Part::embedding;
  for (const NamedPart& p : named_parts)
    if (has(name, p.in_name)) return p.part;
  return Part::other;
}

std::optional<int> layer_of(std::string_view name) {  // "blk.12.attn_q.weight"
  int layer = 0, end = 0;
  if (std::sscanf(std::string(name).c_str(), "blk.%6d.%n", &layer, &end) != 1 || end == 0 || layer < 0)
    return {};
  return layer;
}

bool gets_more_bits(int i, int n) { return i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2; }

unsigned if_so(bool condition, Fact fact) { return condition ? fact : 0U; }

// The tensors of a model in the order in which the mixes count them: by layer, then by name.
class Counter {
 public:
  Counter(const ModelFacts& model, std::span<const Candidate> tensors, const Mix& mix, bool importance)
      : model_(model), mix_(mix), importance_(importance) {
    tied_ = std::ranges::none_of(tensors, [](const Candidate& t) { return t.name == "output.weight"; });
    for (const Candidate& t : tensors) values_ += part_of(t.name, tied_) == Part::attention_value ? 1 : 0;
  }

  const FormatInfo& next(const Candidate& t) {
    const Part part = part_of(t.name, tied_);
    const int count = seen_[part]++;
    return choose(mix_, part, facts_of(t, part, count));
  }

 private:
  unsigned facts_of(const Candidate& t, Part part, int count) const {
    const bool shared = model_.heads_per_key_head >= 4;
    unsigned facts = if_so(t.shape[0] % find_format(std::string_view(mix_.base))->block_size != 0, odd_rows) |
                     if_so(t.shape[2] > 1, stacked) | if_so(shared, shared_keys) |
                     if_so(model_.experts >= 4, four_experts) | if_so(model_.experts == 8, eight_experts) |
                     if_so(importance_, importance) | if_so(count < 2, first_two) |
                     if_so(count < 4, first_four) | if_so(gets_more_bits(count, values_), value_more_bits) |
                     if_so(is_seventy_billion(), seventy_billion);
    // Layers with experts have several tensors of a part, so that only the name tells the layer.
    const int n = model_.layers, i = model_.experts > 1 ? layer_of(t.name).value_or(count) : count;
    facts |= if_so(i < n / 8, first_eighth) | if_so(i < n / 16, first_sixteenth) |
             if_so(i >= n / 8 && i < 7 * n / 8, middle) | if_so(gets_more_bits(i, n), more_bits) |
             if_so(part == Part::down && count < n / 8, early_down);
    return facts;
  }

  bool is_seventy_billion() const {
    const bool llama = model_.architecture == "llama" && model_.heads_per_key_head > 1;
    return model_.layers == 80 && (llama || model_.architecture == "qwen2");
  }

  const ModelFacts& model_;
  const Mix& mix_;
  const bool importance_;
  bool tied_ = false;
  int values_ = 0;
  std::map<Part, int> seen_;
};

std::vector<std::size_t> by_layer(std::span<const Candidate> tensors) {
  std::vector<std::size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) {
    return std::tuple(layer_of(tensors[i].name).value_or(-1), tensors[i].name);
  });
  return order;
}

}  // namespace

bool may_change(const Candidate& t, bool by_name) {
  if (t.format->index < 0) return false;
  if (!by_name) return t.n_dims > 1;
  if (t.shape[1] * t.shape[2] * t.shape[3] == 1 || !t.name.ends_with("weight")) return false;
  return std::ranges::none_of(kept_names, [&](std::string_view k) { return has(t.name, k); });
}

bool ModelFacts::known() const {
  return std::ranges::find(usual_architectures, architecture) != std::end(usual_architectures);
}

ModelFacts model_facts(const gguf::Reader& file) {
  ModelFacts facts;
  facts.architecture = file.text("general.architecture", "");
  const std::string& a = facts.architecture;
  if (!facts.known()) return facts;
  const auto count = [&](const std::string& key) { return file.integer(a + key, 0, 1 << 20, 0); };
  facts.layers = static_cast<int>(count(".block_count"));
  facts.experts = static_cast<int>(count(".expert_count"));
  const auto heads = [&](const std::string& key) {  // one for all layers, or one per layer
    const gguf::Value* value = file.find(a + key);
    if (value == nullptr || value->type != gguf::ValueType::array) return count(key);
    const std::vector<std::int64_t> all = file.integers(a + key);
    return all.empty() ? 0 : all[0];
  };
  const auto n = heads(".attention.head_count"), n_kv = heads(".attention.head_count_kv");
  facts.heads_per_key_head = n_kv > 0 ? static_cast<int>(n / n_kv) : 1;
  return facts;
}

const FormatInfo& Type::base() const { return mix ? *find_format(std::string_view(mix->base)) : *plain; }

std::uint32_t Type::file_type() const { return mix ? mix->file_type : file_type_of(*plain); }

Type find_type(const std::string& name, bool pure) {
  const Mix* mix = find_mix(name);
  if (mix != nullptr && !pure) return {mix, nullptr};
  const FormatInfo* plain = find_format(std::string_view(name));
  if (plain == nullptr && mix != nullptr) plain = find_format(std::string_view(mix->base));
  if (plain != nullptr && plain->index >= 0) return {nullptr, plain};
  std::string all;
  for (const Mix& m : mixes()) all += std::string(all.empty() ? "" : ", ") + m.name;
  for (const FormatInfo& f : all_formats())
    if (f.index >= 0 && find_mix(f.name) == nullptr) all += std::string(", ") + f.name;
  throw UsageError("--type: found '" + name + "', expected one of " + all);
}

std::vector<Choice> choose_formats(const ModelFacts& model, std::span<const Candidate> tensors,
                                   const Wish& wish) {
  const bool by_name = model.known() && !wish.pure;
  const Type& type = wish.type;
  std::optional<Counter> counter;
  if (type.mix != nullptr && by_name) counter.emplace(model, tensors, *type.mix, wish.importance);
  std::vector<Choice> choices(tensors.size());
  for (const std::size_t i : by_layer(tensors)) {
    const Candidate& t = tensors[i];
    choices[i] = {t.format, t.format};
    if (!may_change(t, by_name)) continue;
    const FormatInfo* wanted = counter ? &counter->next(t) : type.plain || type.mix ? &type.base() : t.format;
    if (wish.recipe != nullptr)
      if (const FormatInfo* named = look_up(*wish.recipe, t.name)) wanted = named;
    choices[i] = {&format_for_rows(*wanted, t.shape[0]), wanted};
  }
  return choices;
}

}  // namespace coterie::quantize
