#include "quantize/quantize.h"

#include "base/errors.h"
#include "base/output_file.h"
#include "kernels/kernels.h"
#include "quantize/encode.h"

#include <algorithm>
#include <map>
#include <span>
#include <utility>

namespace coterie::quantize {

namespace {

constexpr std::uint32_t quantization_version = 2;  // of the block layouts, as all GGUF files of today have

bool is_lossless(const FormatInfo& f) {
  const std::string_view name = f.name;
  return name == "F32" || name == "F16" || name == "BF16";
}

std::string tensors_like(std::size_t n, const std::string& first) {
  return n == 1 ? first : std::to_string(n) + " tensors, " + first + " and on";
}

// Lines that would be one per tensor, gathered to one per kind.
class Gathered {
 public:
  void add(const std::string& kind, std::string_view tensor) {
    auto& [n, first] = kinds_[kind];
    if (n++ == 0) first = tensor;
  }
  void append_to(std::vector<std::string>* lines) const {
    for (const auto& [kind, seen] : kinds_)
      lines->push_back(tensors_like(seen.first, seen.second) + ": " + kind);
  }

 private:
  std::map<std::string, std::pair<std::size_t, std::string>> kinds_;
};

std::string subject(const gguf::Reader& file, const gguf::TensorInfo& t) {
  return file.file_path(t.file) + ": tensor " + std::string(t.name);
}

Candidate candidate(const gguf::TensorInfo& t) { return {t.name, t.shape, t.n_dims, t.format}; }

void check(const gguf::Reader& file, const PlannedTensor& t, bool allow_requantize) {
  if (t.copied()) return;
  const std::string what = subject(file, *t.source) + ": ";
  if (!is_lossless(*t.source->format) && !is_lossless(*t.format) && !allow_requantize)
    throw UsageError(what + "is " + t.source->format->name + " already, and " + t.format->name +
                     " on top of that loses twice; start from F32, F16 or BF16, or say --allow-requantize");
  if (kernels().encode[t.format->index] == nullptr)
    throw UsageError(what + t.format->name + " cannot be written yet");
}

// One or two bits per weight: without knowing which weights matter, little is left.
bool needs_importance(const FormatInfo& f) {
  const std::string_view name = f.name;
  return name.starts_with("IQ1") || name.starts_with("IQ2");
}

std::vector<std::string> warnings(const ModelFacts& model, std::span<const PlannedTensor> tensors,
                                  std::span<const Choice> choices, const PlanOptions& o) {
  Gathered gathered;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const gguf::TensorInfo& t = *tensors[i].source;
    if (choices[i].wanted != choices[i].format)
      gathered.add("rows of " + std::to_string(t.shape[0]) + " are no whole blocks of " +
                       choices[i].wanted->name + ", " + choices[i].format->name + " instead",
                   t.name);
    if (tensors[i].copied()) continue;
    const bool weighted = o.importance != nullptr && o.importance->has(t.name);
    if (needs_importance(*tensors[i].format) && !weighted)
      gathered.add(
          std::string(tensors[i].format->name) + " without an importance matrix, expect poor answers",
          t.name);
    else if (o.importance != nullptr && !weighted)
      gathered.add(o.importance->path() + " has no entry, all weights count alike", t.name);
  }
  std::vector<std::string> lines;
  if (!model.known() && !o.wish.pure && o.wish.type.mix != nullptr)
    lines.push_back("architecture " + (model.architecture.empty() ? "not given" : model.architecture) +
                    ": its tensors are not known, " + o.wish.type.base().name + " for every matrix");
  gathered.append_to(&lines);
  return lines;
}

// The format that most weights get.
const FormatInfo& main_format(std::span<const PlannedTensor> tensors) {
  std::map<const FormatInfo*, std::int64_t> weights;
  for (const PlannedTensor& t : tensors)
    if (t.format->index >= 0) weights[t.format] += t.source->elements();
  if (weights.empty()) return *find_format("F32");
  return *std::ranges::max_element(weights, {}, [](const auto& w) {
            return std::pair(w.second, w.first->index);
          })->first;
}

// llama.cpp's quantizer keeps every key, but those that say how the file was made and where it was split.
void write_keys(gguf::Writer& out, const gguf::Reader& file, std::uint32_t file_type,
                const ImportanceMatrix* importance) {
  const std::string_view replaced[] = {"general.quantization_version", "general.file_type", "split.no",
                                       "split.count", "split.tensors.count"};
  for (const auto& [key, value] : file.keys()) {
    const bool stale = importance != nullptr && key.starts_with("quantize.imatrix.");
    if (!stale && std::ranges::find(replaced, key) == std::end(replaced)) out.add(key, value);
  }
  out.add<std::uint32_t>("general.quantization_version", quantization_version);
  out.add<std::uint32_t>("general.file_type", file_type);
  if (importance == nullptr) return;
  out.add_text("quantize.imatrix.file", importance->path());
  if (!importance->datasets().empty())
    out.add_text("quantize.imatrix.dataset", importance->datasets().front());
  out.add<std::uint32_t>("quantize.imatrix.entries_count",
                         static_cast<std::uint32_t>(importance->names().size()));
  if (importance->chunk_count() > 0)
    out.add<std::uint32_t>("quantize.imatrix.chunks_count",
                           static_cast<std::uint32_t>(importance->chunk_count()));
}

RowSource rows_of(const PlannedTensor& planned) {
  const gguf::TensorInfo& t = *planned.source;
  RowSource rows{std::string(t.name), planned.format, t.shape[0], t.rows(), t.shape[1], {}, {}};
  const auto bytes_of = [&t](std::int64_t row) { return t.data + row * t.row_bytes(); };
  if (planned.copied())
    rows.copy = bytes_of;
  else
    rows.make = [&t, bytes_of](std::int64_t row, float* out) {
      t.format->decode(bytes_of(row), t.shape[0], out);
    };
  return rows;
}

}  // namespace

Plan make_plan(const gguf::Reader& file, const PlanOptions& options) {
  std::vector<Candidate> candidates;
  for (const gguf::TensorInfo& t : file.tensors()) candidates.push_back(candidate(t));
  const ModelFacts model = model_facts(file);
  Wish wish = options.wish;
  wish.importance = options.importance != nullptr;
  const std::vector<Choice> choices = choose_formats(model, candidates, wish);
  Plan plan;
  for (std::size_t i = 0; i < choices.size(); ++i)
    plan.tensors.push_back({&file.tensors()[i], choices[i].format});
  for (const PlannedTensor& t : plan.tensors) check(file, t, options.allow_requantize);
  const bool by_recipe = wish.recipe != nullptr;
  plan.file_type = by_recipe ? file_type_of(main_format(plan.tensors)) : wish.type.file_type();
  plan.warnings = warnings(model, plan.tensors, choices, options);
  return plan;
}

Quantization::Quantization(const QuantizeOptions& options)
    : options_(options),
      source_(options.from),
      plan_(make_plan(source_, options.plan)),
      file_(options.to, options.split_bytes) {
  write_keys(file_, source_, plan_.file_type, options.plan.importance);
  for (const PlannedTensor& t : plan_.tensors)
    file_.add_tensor(t.source->name,
                     std::span(t.source->shape).first(static_cast<std::size_t>(t.source->n_dims)), *t.format);
  file_.lay_out();
  for (const std::string& part : file_.paths()) {
    check_target(part);
    for (int i = 0; i < source_.files(); ++i) check_not_input(part, source_.file_path(i));
  }
}

gguf::Work Quantization::work() const {
  gguf::Work work{options_.facts, {}};
  work.options.emplace_back("encoders of version", std::to_string(encoder_version));
  if (const ImportanceMatrix* importance = options_.plan.importance)
    work.options.emplace_back("--imatrix", gguf::describe_source(importance->path()).second);
  if (options_.split_bytes > 0) work.options.emplace_back("--split", std::to_string(options_.split_bytes));
  for (int i = 0; i < source_.files(); ++i)
    work.source.push_back(gguf::describe_source(source_.file_path(i)));
  return work;
}

void Quantization::run() {
  gguf::Journal journal(options_.to + ".journal", work(), {&file_}, options_.journal);
  std::uint64_t done = journal.resumed_bytes();
  Encoder encoder;
  encoder.threads = options_.threads;
  encoder.importance = options_.plan.importance;
  encoder.check_source = [&] { source_.check_io(); };
  encoder.release_source = [&] { source_.release(); };
  encoder.wrote = [&](std::uint64_t bytes) {
    done += bytes;
    if (options_.progress) options_.progress(done, file_.data_bytes());
  };
  journal.run([&] {
    for (std::size_t i = 0; i < plan_.tensors.size(); ++i)
      encoder.write(file_, static_cast<int>(i), rows_of(plan_.tensors[i]));
  });
}

}  // namespace coterie::quantize
