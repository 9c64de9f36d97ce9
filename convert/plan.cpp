#include "convert/plan.h"

#include "base/errors.h"
#include "base/half.h"
#include "convert/architecture.h"
#include "convert/hf_tokenizer.h"
#include "convert/json_text.h"
#include "kernels/kernels.h"
#include "quantize/fallback.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>

namespace coterie::convert {

namespace {

constexpr const char* scale_suffix = "_scale_inv";

std::string text_of(const std::vector<std::int64_t>& shape) { return shown(Json(shape)); }

std::vector<std::int64_t> source_shape(const TensorRule& rule, const HfConfig& c) {
  if (rule.columns == nullptr) return {rule.rows(c)};
  return {rule.rows(c), rule.columns(c)};
}

[[noreturn]] void tensor_fault(const SafeTensors& checkpoint, const std::string& name,
                               const std::string& what) {
  throw ModelError(checkpoint.path() + ": tensor " + shown(Json(name)) + ": " + what);
}

void check_scales(const HfConfig& c, const SafeTensors& checkpoint, const SafeTensor& t) {
  const SafeTensor* scales = checkpoint.find(t.name + scale_suffix);
  const bool eight_bits = t.dtype == Dtype::F8_E4M3 || t.dtype == Dtype::F8_E5M2;
  if (!eight_bits) {
    if (scales != nullptr)
      tensor_fault(checkpoint, scales->name, std::string("scales a tensor of dtype ") + name_of(t.dtype));
    return;
  }
  if (scales == nullptr) tensor_fault(checkpoint, t.name + scale_suffix, "missing");
  if (t.shape.size() != 2) tensor_fault(checkpoint, t.name, "FP8 vector, expected a matrix");
  const std::vector<std::int64_t> shape = {(t.shape[0] + c.scale_rows - 1) / c.scale_rows,
                                           (t.shape[1] + c.scale_columns - 1) / c.scale_columns};
  if (scales->shape != shape)
    tensor_fault(checkpoint, scales->name,
                 "shape " + text_of(scales->shape) + ", expected " + text_of(shape));
  if (!is_float(scales->dtype))
    tensor_fault(checkpoint, scales->name, std::string("dtype ") + name_of(scales->dtype));
}

void check_tensor(const HfConfig& c, const SafeTensors& checkpoint, const TensorRule& rule,
                  const std::string& name) {
  const SafeTensor* t = checkpoint.find(name);
  const std::vector<std::int64_t> shape = source_shape(rule, c);
  if (t == nullptr) tensor_fault(checkpoint, name, "missing, expected with shape " + text_of(shape));
  if (t->shape != shape)
    tensor_fault(checkpoint, name,
                 "shape " + text_of(t->shape) + ", expected " + text_of(shape) + " by config.json");
  if (!is_float(t->dtype))
    tensor_fault(checkpoint, name, std::string("dtype ") + name_of(t->dtype) + ", expected a float type");
  check_scales(c, checkpoint, *t);
}

// Calls visit(name) for every source that a rule expects.
template <class Visit>
void for_each_source(const HfConfig& c, const TensorRule& rule, std::int64_t layers, Visit visit) {
  if (!is_layered(rule)) {
    if (rule.applies(c, 0)) visit(std::string(rule.from));
    return;
  }
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    if (!rule.applies(c, layer)) continue;
    const std::int64_t experts = is_stacked(rule) ? c.experts : 1;
    for (std::int64_t expert = 0; expert < experts; ++expert) visit(fill_name(rule.from, layer, expert));
  }
}

// The rules of a source's pattern; they stand next to each other.
std::span<const TensorRule> rules_of(const HfConfig& c, const std::string& pattern) {
  const std::span<const TensorRule> all = c.architecture->tensors;
  const auto same = [&](const TensorRule& rule) { return pattern == rule.from; };
  const auto first = std::find_if(all.begin(), all.end(), same);
  const auto last = std::find_if_not(first, all.end(), same);
  return {first, last};
}

bool is_expected(const HfConfig& c, const ParsedName& name, std::int64_t layers) {
  const std::span<const TensorRule> rules = rules_of(c, name.pattern);
  if (rules.empty()) return false;
  const TensorRule& rule = rules.front();
  return (!is_layered(rule) || name.numbers[0] < layers) &&
         (!is_stacked(rule) || name.numbers[1] < c.experts) && rule.applies(c, name.numbers[0]);
}

}  // namespace

bool check_tensors(const HfConfig& c, const SafeTensors& checkpoint) {
  const std::vector<SafeTensor>& all = checkpoint.tensors();
  const auto in_mtp = [&](const SafeTensor& t) {
    return t.name.starts_with("model.layers.") && parse_name(t.name).numbers[0] >= c.layers;
  };
  const bool mtp = c.mtp_layers > 0 && std::any_of(all.begin(), all.end(), in_mtp);
  const std::int64_t layers = c.layers + (mtp ? c.mtp_layers : 0);

  for (const TensorRule& rule : c.architecture->tensors)
    for_each_source(c, rule, layers,
                    [&](const std::string& name) { check_tensor(c, checkpoint, rule, name); });
  for (const SafeTensor& t : all) {
    const bool scale = t.name.ends_with(scale_suffix);
    const ParsedName name = parse_name(scale ? t.name.substr(0, t.name.rfind(scale_suffix)) : t.name);
    if (!is_expected(c, name, layers) && !is_ignored(c, name.pattern))
      tensor_fault(checkpoint, t.name,
                   "not expected in a " + std::string(c.architecture->hf_class) + " of " +
                       std::to_string(c.layers) + " layers");
  }
  return mtp;
}

std::int64_t PlannedTensor::rows() const {
  std::int64_t n = 1;
  for (std::size_t i = 1; i < shape.size(); ++i) n *= shape[i];
  return n;
}

std::uint64_t PlannedTensor::bytes() const {
  return static_cast<std::uint64_t>(rows() * format->row_bytes(shape[0]));
}

namespace {

class Planner {
 public:
  Planner(const HfConfig& config, const SafeTensors& checkpoint, Mtp mtp)
      : c_(config), checkpoint_(checkpoint), mtp_(mtp) {}

  Plan run() {
    const bool has_mtp = check_tensors(c_, checkpoint_);
    if (has_mtp && mtp_ == Mtp::separate) plan_.mtp.emplace();
    plan_.inline_mtp = has_mtp && mtp_ == Mtp::inline_;
    if (c_.scaling.type == "llama3") add_rope_factors();
    std::vector<const SafeTensor*> order;
    for (const SafeTensor& t : checkpoint_.tensors()) order.push_back(&t);
    std::sort(order.begin(), order.end(), [](const SafeTensor* a, const SafeTensor* b) {
      return a->shard != b->shard ? a->shard < b->shard : a->name < b->name;
    });
    for (const SafeTensor* t : order) add(*t);
    return std::move(plan_);
  }

 private:
  // The experts of one layer, until all have been seen.
  struct Stack {
    std::map<const TensorRule*, std::vector<Weights>> parts;
    std::int64_t seen = 0;
  };

  void add(const SafeTensor& t) {
    const ParsedName name = parse_name(t.name);
    const std::int64_t layer = name.numbers[0];
    for (const TensorRule& rule : rules_of(c_, name.pattern)) {
      if (!rule.applies(c_, layer)) return;  // a head that is tied
      if (is_stacked(rule))
        add_expert(rule, t, layer, name.numbers[1]);
      else
        emit(rule, layer, {weights(t)});
    }
  }

  void add_expert(const TensorRule& rule, const SafeTensor& t, std::int64_t layer, std::int64_t expert) {
    Stack& stack = stacks_[layer];
    std::vector<Weights>& parts = stack.parts[&rule];
    parts.resize(static_cast<std::size_t>(c_.experts));
    parts[static_cast<std::size_t>(expert)] = weights(t);
    std::int64_t expected = 0;
    for (const TensorRule& r : c_.architecture->tensors) expected += is_stacked(r) ? c_.experts : 0;
    if (++stack.seen < expected) return;
    for (const TensorRule& r : c_.architecture->tensors)
      if (is_stacked(r)) emit(r, layer, std::move(stack.parts[&r]));
    stacks_.erase(layer);
  }

  Weights weights(const SafeTensor& t) const {
    return {&t, checkpoint_.find(t.name + scale_suffix), t.shape.back(), c_.scale_rows, c_.scale_columns};
  }

  void emit(const TensorRule& rule, std::int64_t layer, std::vector<Weights> parts) {
    PlannedTensor t;
    t.name = fill_name(rule.to, layer);
    t.source.layout = rule.layout;
    t.source.parts = std::move(parts);
    t.source.key_rows = c_.nope;
    t.source.value_rows = c_.v_dim;
    t.shape = gguf_shape(rule, c_);
    if (rule.layout == Layout::rotary_query) t.source.heads = c_.heads;
    if (rule.layout == Layout::rotary_key) t.source.heads = c_.kv_heads;
    t.source.columns = t.shape[0];
    t.source.rows_per_part = is_stacked(rule) ? t.shape[1] : t.rows();
    place(std::move(t), is_layered(rule) && layer >= c_.layers);
  }

  void place(PlannedTensor t, bool mtp) {
    t.exact = t.shape.size() == 1 || t.name.ends_with("_norm.weight") ||
              t.name.ends_with(".ffn_gate_inp.weight") || !t.name.ends_with(".weight");
    t.format = &source_format(t);
    if (mtp && mtp_ == Mtp::none) return;
    (mtp && mtp_ == Mtp::separate ? *plan_.mtp : plan_.model).tensors.push_back(std::move(t));
  }

  // FP8 with its scales has no more than BF16's precision.
  const FormatInfo& source_format(const PlannedTensor& t) const {
    if (t.exact || t.source.parts.empty()) return *find_format("F32");
    const Dtype dtype = t.source.parts.front().values->dtype;
    if (dtype == Dtype::F32 || dtype == Dtype::F64) return *find_format("F32");
    return *find_format(dtype == Dtype::F16 ? "F16" : "BF16");
  }

  // Llama 3.1's stretching of slow rotations, as divisors of the frequencies. In float32, step by step, as
  // the reference has it: https://github.com/meta-llama/llama-models (apply_scaling).
  void add_rope_factors() {
    const RopeScaling& s = c_.scaling;
    const auto context = static_cast<float>(s.original_context), factor = static_cast<float>(s.factor);
    const auto low = static_cast<float>(s.low_frequency), high = static_cast<float>(s.high_frequency);
    PlannedTensor t;
    t.name = "rope_freqs.weight";
    for (std::int64_t i = 0; i < c_.head_dim; i += 2) {
      const float exponent = static_cast<float>(i) / static_cast<float>(c_.head_dim);
      const float frequency =
          1.0F / static_cast<float>(std::pow(c_.rope_theta, static_cast<double>(exponent)));
      const float wavelength = static_cast<float>(2 * std::numbers::pi) / frequency;
      float divisor = factor;
      if (wavelength < context / high) {
        divisor = 1;
      } else if (wavelength <= context / low) {
        const float smooth = (context / wavelength - low) / (high - low);
        divisor = 1.0F / ((1.0F - smooth) / factor + smooth);
      }
      t.source.computed.push_back(divisor);
    }
    t.shape = {static_cast<std::int64_t>(t.source.computed.size())};
    t.source.columns = t.shape[0];
    place(std::move(t), false);
  }

  const HfConfig& c_;
  const SafeTensors& checkpoint_;
  const Mtp mtp_;
  Plan plan_;
  std::map<std::int64_t, Stack> stacks_;
};

ParameterCount count_parameters(const FilePlan& file) {
  ParameterCount count;
  std::int64_t experts = 0, stacks = 0;
  for (const PlannedTensor& t : file.tensors) {
    const std::int64_t size = t.shape[0] * t.rows();
    count.total += size;
    if (t.name.find("_exps.") == std::string::npos) {
      count.shared += size;
      continue;
    }
    count.per_expert += size / t.shape[2];
    experts += t.shape[2];
    ++stacks;
  }
  if (stacks > 0) count.experts = experts / stacks;
  return count;
}

// The formats chosen, or what their rows allow instead; a note per kind of fallback, not per tensor.
void apply(const TypeChoice& types, const HfConfig& config, FilePlan& file, std::vector<std::string>& notes) {
  const std::vector<const FormatInfo*> wanted = types.formats(config, file.tensors);
  std::map<std::string, std::pair<std::string, int>> fallbacks;  // what happens -> the first tensor, how many
  for (std::size_t i = 0; i < file.tensors.size(); ++i) {
    PlannedTensor& t = file.tensors[i];
    if (t.exact) continue;
    t.format = &quantize::format_for_rows(*wanted[i], t.shape[0]);
    if (kernels().encode[t.format->index] == nullptr)
      throw UsageError("tensor " + t.name + ": " + t.format->name + " cannot be written yet");
    if (t.format == wanted[i]) continue;
    const std::string what = "rows of " + std::to_string(t.shape[0]) + " are no whole " + wanted[i]->name +
                             " blocks, written as " + t.format->name;
    auto& [first, count] = fallbacks[what];
    if (count++ == 0) first = t.name;
  }
  for (const auto& [what, seen] : fallbacks)
    notes.push_back(
        (seen.second == 1 ? seen.first : std::to_string(seen.second) + " tensors, as " + seen.first) + ": " +
        what);
}

}  // namespace

static std::uint32_t file_type_of(const FilePlan& file) {
  std::map<const FormatInfo*, std::int64_t> weights;
  for (const PlannedTensor& t : file.tensors) weights[t.format] += t.shape[0] * t.rows();
  const auto fewer = [](const auto& a, const auto& b) {
    return std::pair(a.second, a.first->index) < std::pair(b.second, b.first->index);
  };
  return quantize::file_type_of(*std::max_element(weights.begin(), weights.end(), fewer)->first);
}

TypeChoice one_type(const FormatInfo& format) {
  TypeChoice types;
  types.facts = {{"--type", format.name}};
  types.file_type = quantize::file_type_of(format);
  types.formats = [&format](const HfConfig&, std::span<const PlannedTensor> tensors) {
    return std::vector<const FormatInfo*>(tensors.size(), &format);
  };
  return types;
}

TypeChoice types_of(const quantize::Wish& wish, gguf::Facts facts) {
  TypeChoice types;
  types.facts = std::move(facts);
  if (wish.recipe == nullptr) types.file_type = wish.type.file_type();
  types.formats = [wish](const HfConfig& c, std::span<const PlannedTensor> tensors) {
    const bool latent = c.kv_lora > 0;
    const quantize::ModelFacts model{c.architecture->gguf_name, static_cast<int>(c.layers),
                                     static_cast<int>(c.experts),
                                     static_cast<int>(c.heads / (latent ? 1 : c.kv_heads))};
    std::vector<quantize::Candidate> candidates;
    for (const PlannedTensor& t : tensors) {
      candidates.push_back({t.name, {1, 1, 1, 1}, static_cast<int>(t.shape.size()), t.format});
      std::copy(t.shape.begin(), t.shape.end(), candidates.back().shape.begin());
    }
    std::vector<const FormatInfo*> formats;
    for (const quantize::Choice& choice : quantize::choose_formats(model, candidates, wish))
      formats.push_back(choice.wanted);
    return formats;
  };
  return types;
}

Plan plan_tensors(const HfConfig& config, const SafeTensors& checkpoint, const TypeChoice& types, Mtp mtp) {
  Plan plan = Planner(config, checkpoint, mtp).run();
  apply(types, config, plan.model, plan.notes);
  if (plan.mtp) apply(types, config, *plan.mtp, plan.notes);
  return plan;
}

Plan make_plan(const std::string& folder, const SafeTensors& checkpoint, const TypeChoice& types, Mtp mtp) {
  const HfConfig config = read_hf_config(folder);
  Plan plan = plan_tensors(config, checkpoint, types, mtp);
  plan.model.keys = model_keys({config, folder, count_parameters(plan.model),
                                types.file_type.value_or(file_type_of(plan.model)), plan.inline_mtp});
  add_tokenizer_keys(config, read_hf_vocabulary(folder), plan.model.keys);
  add_template_key(folder, plan.model.keys);
  if (plan.mtp)
    plan.mtp->keys = model_keys({config, folder, count_parameters(*plan.mtp),
                                 types.file_type.value_or(file_type_of(*plan.mtp)), true});
  return plan;
}

}  // namespace coterie::convert
