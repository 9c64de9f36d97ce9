#include "convert/plan.h"

#include "base/errors.h"
#include "base/half.h"
#include "convert/architecture.h"
#include "convert/hf_tokenizer.h"
#include "convert/json_text.h"

#include <strings.h>
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

namespace {

class Planner {
 public:
  Planner(const HfConfig& config, const SafeTensors& checkpoint, const FormatInfo& format)
      : c_(config), checkpoint_(checkpoint), format_(format) {}

  Plan run() {
    if (check_tensors(c_, checkpoint_)) plan_.mtp.emplace();
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

  // What llama.cpp keeps in F32 whatever the type: vectors, norms, the router, and what is no weight.
  const FormatInfo& format_of(const PlannedTensor& t) {
    const bool exact = t.shape.size() == 1 || t.name.ends_with("_norm.weight") ||
                       t.name.ends_with(".ffn_gate_inp.weight") || !t.name.ends_with(".weight");
    if (exact) return *find_format("F32");
    if (t.shape[0] % format_.block_size == 0) return format_;
    plan_.notes.push_back(t.name + ": rows of " + std::to_string(t.shape[0]) + " are no whole " +
                          format_.name + " blocks, written as F16");
    return *find_format("F16");
  }

  void place(PlannedTensor t, bool mtp) {
    t.format = &format_of(t);
    (mtp ? *plan_.mtp : plan_.model).tensors.push_back(std::move(t));
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
  const FormatInfo& format_;
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

}  // namespace

std::span<const FileType> file_types() {
  static constexpr FileType types[] = {{"F32", 0}, {"F16", 1}, {"Q8_0", 7}, {"BF16", 32}};
  return types;
}

const FileType* find_file_type(const std::string& name) {
  for (const FileType& type : file_types())
    if (strcasecmp(type.name, name.c_str()) == 0) return &type;
  return nullptr;
}

Plan plan_tensors(const HfConfig& config, const SafeTensors& checkpoint, const FileType& type) {
  return Planner(config, checkpoint, *find_format(type.name)).run();
}

Plan make_plan(const std::string& folder, const SafeTensors& checkpoint, const FileType& type) {
  const HfConfig config = read_hf_config(folder);
  Plan plan = plan_tensors(config, checkpoint, type);
  plan.model.keys = model_keys({config, folder, count_parameters(plan.model), type.number, false});
  add_tokenizer_keys(config, read_hf_vocabulary(folder), plan.model.keys);
  add_template_key(folder, plan.model.keys);
  if (plan.mtp) plan.mtp->keys = model_keys({config, folder, count_parameters(*plan.mtp), type.number, true});
  return plan;
}

}  // namespace coterie::convert
