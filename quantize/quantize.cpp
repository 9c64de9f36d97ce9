#include "quantize/quantize.h"

#include "base/errors.h"
#include "base/output_file.h"
#include "gguf/writer.h"
#include "kernels/kernels.h"

#include <omp.h>
#include <algorithm>
#include <atomic>
#include <map>
#include <span>
#include <utility>

namespace coterie::quantize {

namespace {

constexpr std::int64_t chunk_bytes = 8 << 20;
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

// One tensor's rows as they are to be written.
class Rows {
 public:
  Rows(const gguf::Reader& file, const PlannedTensor& t, const ImportanceMatrix* importance, int threads)
      : subject_(subject(file, *t.source)),
        t_(*t.source),
        to_(*t.format),
        importance_(importance),
        threads_(threads),
        encode_(to_.index < 0 ? nullptr : kernels().encode[to_.index]) {}

  // Valid until the next call. Throws ModelError: a weight is no finite number.
  std::span<const std::byte> get(std::int64_t first, std::int64_t n) {
    if (&to_ ==
        t_.format) {  // a copy: memory that is not the mapping, whose faults are then found before the write
      const std::byte* from = t_.data + first * t_.row_bytes();
      out_.assign(from, from + n * t_.row_bytes());
    } else {
      encode(first, n);
    }
    return out_;
  }

 private:
  void encode(std::int64_t first, std::int64_t n) {
    const std::int64_t columns = t_.shape[0], row_bytes = to_.row_bytes(columns);
    out_.resize(static_cast<std::size_t>(n * row_bytes));
    read_importance(first, n);
    std::atomic<bool> legal{true};
    const int threads = n * columns > 1 << 16 ? threads_ : 1;  // a team costs more than a small tensor
    row_of_thread_.resize(static_cast<std::size_t>(threads));
    for (std::vector<float>& row : row_of_thread_) row.resize(static_cast<std::size_t>(columns));
      // Nothing throws among the threads: formats have been checked, buffers are there.
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (std::int64_t i = 0; i < n; ++i) {
      float* row = row_of_thread_[static_cast<std::size_t>(omp_get_thread_num())].data();
      const std::byte* from = t_.data + (first + i) * t_.row_bytes();
      if (!t_.format->legal(from, columns)) legal = false;
      t_.format->decode(from, columns, row);
      encode_(row, importance_of(first + i), columns, out_.data() + i * row_bytes);
    }
    if (!legal) throw ModelError(subject_ + ": a weight is no finite number");
  }

  // Of the matrices (experts) that the rows belong to.
  void read_importance(std::int64_t first, std::int64_t n) {
    if (importance_ == nullptr || !importance_->has(t_.name)) return;
    const std::int64_t begin = first / t_.shape[1], end = (first + n - 1) / t_.shape[1] + 1;
    if (begin == first_matrix_ && std::ssize(weights_) == end - begin) return;
    weights_.clear();
    for (std::int64_t m = begin; m < end; ++m)
      weights_.push_back(importance_->weights(t_.name, t_.shape[0], m));
    first_matrix_ = begin;
  }
  const float* importance_of(std::int64_t row) const {
    if (weights_.empty()) return nullptr;
    const std::vector<float>& w = weights_[static_cast<std::size_t>(row / t_.shape[1] - first_matrix_)];
    return w.empty() ? nullptr : w.data();
  }

  const std::string subject_;
  const gguf::TensorInfo& t_;
  const FormatInfo& to_;
  const ImportanceMatrix* importance_;
  const int threads_;
  const Encode encode_;
  std::int64_t first_matrix_ = 0;
  std::vector<std::vector<float>> weights_;  // [matrices of the chunk][columns]
  std::vector<std::vector<float>> row_of_thread_;
  std::vector<std::byte> out_;
};

}  // namespace

std::uint64_t Plan::bytes() const {
  std::uint64_t sum = 0;
  for (const PlannedTensor& t : tensors) sum += t.bytes();
  return sum;
}

std::int64_t Plan::elements() const {
  std::int64_t sum = 0;
  for (const PlannedTensor& t : tensors) sum += t.source->elements();
  return sum;
}

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

void quantize(const gguf::Reader& file, const Plan& plan, const QuantizeOptions& options) {
  const int threads = options.threads > 0 ? options.threads : omp_get_max_threads();
  gguf::Writer out(options.to);
  write_keys(out, file, plan.file_type, options.importance);
  for (const PlannedTensor& t : plan.tensors)
    out.add_tensor(t.source->name,
                   std::span(t.source->shape).first(static_cast<std::size_t>(t.source->n_dims)), *t.format);
  out.begin_data();

  std::uint64_t done = 0;
  const std::uint64_t total = plan.bytes();
  for (std::size_t i = 0; i < plan.tensors.size(); ++i) {
    const PlannedTensor& t = plan.tensors[i];
    const std::int64_t rows = t.source->rows(), row_bytes = t.format->row_bytes(t.source->shape[0]);
    const std::int64_t step = std::max<std::int64_t>(1, chunk_bytes / row_bytes);
    Rows source(file, t, options.importance, threads);
    for (std::int64_t first = 0; first < rows; first += step) {
      const std::int64_t n = std::min(step, rows - first);
      const std::span<const std::byte> bytes = source.get(first, n);
      file.check_io();
      out.write(static_cast<int>(i), static_cast<std::uint64_t>(first * row_bytes), bytes);
      done += bytes.size();
      if (options.progress) options.progress(done, total);
    }
  }
  out.commit();
}

}  // namespace coterie::quantize
