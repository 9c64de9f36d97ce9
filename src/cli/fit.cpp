#include "cli/fit.h"

#include "base/cpu.h"
#include "base/errors.h"
#include "base/output_file.h"
#include "cli/files.h"
#include "cli/terminal.h"
#include "quantize/budget.h"
#include "quantize/effects.h"
#include "quantize/fit_explain.h"
#include "quantize/fit_file.h"
#include "text/windows.h"

#include <algorithm>
#include <cstdio>
#include <span>
#include <vector>

namespace coterie::cli {

namespace {

// Special tokens count as what they are, and every BOS begins a context of its own.
std::vector<std::vector<Token>> windows_of(const gguf::Reader& file, const std::string& text) {
  auto windows = text::windows_of(text::Tokenizer(read_vocabulary(file)), text, 512, text::Special::parse);
  if (windows.empty()) throw UsageError("--text: found no token, expected some text to read");
  return windows;
}

std::int64_t weights_of(std::span<const quantize::FitTensor> tensors) {
  std::int64_t weights = 0;
  for (const quantize::FitTensor& t : tensors) weights += t.columns * t.rows;
  return weights;
}

// The input's metadata, and room for the keys that the quantizer adds.
std::uint64_t overhead_of(const gguf::Reader& file, const quantize::ImportanceMatrix* importance) {
  std::uint64_t bytes = file.metadata_bytes() + 1024;
  if (importance != nullptr) bytes += importance->path().size() + 512;
  if (importance != nullptr && !importance->datasets().empty()) bytes += importance->datasets()[0].size();
  return bytes;
}

void write_file(const std::string& path, const std::string& text) {
  OutputFile out(path);
  out.write_at(0, std::as_bytes(std::span(text)));
  out.commit();
  report_written(path);
}

// One file to come.
struct Job {
  std::vector<quantize::FitTensor> tensors;
  quantize::FitOptions options;
  std::uint64_t input_bytes;
  gguf::Reader* file;  // a model that may run; null: none
  std::string to;
};

std::vector<double> effects_for(const Job& job, const quantize::Noise& noise, const FitArgs& args) {
  if (!args.text && args.effects)
    return quantize::parse_effects(read_text(*args.effects), job.tensors, *args.effects);
  if (!args.text) return quantize::default_effects(job.tensors);
  std::vector<double> effects = quantize::measured_effects(
      *job.file, job.tensors, noise, windows_of(*job.file, read_text(*args.text)), job.options);
  if (args.effects) write_file(*args.effects, quantize::text_of(job.tensors, effects));
  return effects;
}

quantize::Fit run(Job& job, const FitArgs& args) {
  job.options.budget = args.size ? quantize::parse_budget("--fit", *args.size, job.input_bytes)
                                 : quantize::parse_bits("--bits", *args.bits, weights_of(job.tensors));
  quantize::check_budget(job.tensors, job.options);
  if (job.options.threads <= 0) job.options.threads = physical_cores();
  const Interrupt interrupt;
  Progress progress;
  job.options.progress = interruptible(progress, "measuring types", "interrupted", "tensors");
  const quantize::Noise noise = quantize::measure_all(job.tensors, job.options);
  job.options.progress = interruptible(progress, "measuring effects", "interrupted", "tensors");
  const std::vector<double> effects = effects_for(job, noise, args);
  quantize::Fit fit = quantize::fit(job.tensors, noise, effects, job.options);
  progress.clear();
  if (args.explain) {
    std::printf("%s", harmless(quantize::table_of(fit)).c_str());
    write_file(job.to + ".svg", quantize::picture_of(fit));
  }
  return fit;
}

std::vector<quantize::FitTensor> fit_tensors(const convert::FilePlan& plan) {
  std::vector<quantize::FitTensor> tensors;
  for (const convert::PlannedTensor& t : plan.tensors)
    tensors.push_back({.name = t.name,
                       .columns = t.shape[0],
                       .rows = t.rows(),
                       .rows_per_matrix = t.shape.size() > 1 ? t.shape[1] : 1,
                       .now = t.format,
                       .fixed = t.exact,
                       .read = [&t](std::int64_t row, float* out) { t.source.row(row, out); }});
  return tensors;
}

}  // namespace

FitArgs fit_args(Args& args) {
  FitArgs a;
  a.size = args.maybe("--fit SIZE", "best types for a file of this size: 192GB, 180GiB, 0.75x, bytes");
  a.bits = args.maybe("--bits B", "the same by bits per weight, the whole file counted");
  a.text =
      args.maybe("--text FILE", "with --fit: measure with this text what each tensor does to the output");
  a.effects =
      args.maybe("--effects FILE", "with --text: keep what was measured; without: take it from there");
  a.recipe = args.maybe("--save-recipe FILE", "with --fit: write the types chosen, for --recipe");
  a.explain = args.flag("--explain", "with --fit: print why each tensor got its type, and draw it: OUT.svg");
  if (a.size && a.bits) throw UsageError("--bits: found together with --fit, expected one of the two");
  if (!a.wanted() && (a.text || a.effects || a.recipe || a.explain))
    throw UsageError(
        "--text, --effects, --save-recipe and --explain: found without --fit SIZE or --bits B, expected one");
  return a;
}

quantize::Recipe fit_recipe(const FitFile& what, const FitArgs& args) {
  Job job{quantize::fit_tensors(what.file), {}, what.file.file_bytes(), &what.file, what.to};
  job.options.overhead = overhead_of(what.file, what.importance);
  job.options.alignment = what.file.alignment();
  job.options.importance = what.importance;
  job.options.threads = what.threads;
  quantize::Recipe recipe = quantize::recipe_of(run(job, args));
  if (args.recipe) write_file(*args.recipe, quantize::text_of(recipe));
  return recipe;
}

quantize::Recipe fit_recipe(const convert::Conversion& plain, const FitConversion& what,
                            const FitArgs& args) {
  if (args.text)
    throw UsageError(
        "--text: a checkpoint does not run; measure with a GGUF file of the model and keep the result: "
        "quantize --fit 0.5x --text FILE --effects FILE --dry-run");
  // The model before the extra layers, which are smaller: the budget is the model's, and they get the same bits.
  std::vector<const convert::Conversion::File*> files;
  for (const convert::Conversion::File& file : plain.files()) files.push_back(&file);
  std::ranges::sort(files, {},
                    [](const auto* f) { return -static_cast<std::int64_t>(f->writer->data_bytes()); });
  quantize::Recipe recipe;
  FitArgs wanted = args;
  for (const convert::Conversion::File* file : files) {
    Job job{fit_tensors(*file->plan), {}, what.input_bytes, nullptr, file->writer->paths().front()};
    job.options.overhead = file->writer->file_bytes() - file->writer->data_bytes() + 1024;
    job.options.alignment = 32;
    job.options.importance = what.importance;
    job.options.threads = what.threads;
    const quantize::Fit fit = run(job, wanted);
    const quantize::Recipe more = quantize::recipe_of(fit);
    recipe.lines.insert(recipe.lines.end(), more.lines.begin(), more.lines.end());
    const double bits = 8.0 * static_cast<double>(fit.bytes) / static_cast<double>(weights_of(job.tensors));
    wanted.size.reset();
    wanted.bits = std::to_string(bits);
  }
  if (args.recipe) write_file(*args.recipe, quantize::text_of(recipe));
  return recipe;
}

}  // namespace coterie::cli
