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

std::vector<double> effects_for(gguf::Reader& file, std::span<const quantize::FitTensor> tensors,
                                const quantize::Noise& noise, const quantize::FitOptions& options,
                                const FitArgs& args) {
  if (!args.text && args.effects)
    return quantize::parse_effects(read_text(*args.effects), tensors, *args.effects);
  if (!args.text) return quantize::default_effects(tensors);
  std::vector<double> effects =
      quantize::measured_effects(file, tensors, noise, windows_of(file, read_text(*args.text)), options);
  if (args.effects) write_file(*args.effects, quantize::text_of(tensors, effects));
  return effects;
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
  gguf::Reader& file = what.file;
  const std::vector<quantize::FitTensor> tensors = quantize::fit_tensors(file);
  quantize::FitOptions options;
  options.budget = args.size ? quantize::parse_budget("--fit", *args.size, file.file_bytes())
                             : quantize::parse_bits("--bits", *args.bits, weights_of(tensors));
  options.overhead = overhead_of(file, what.importance);
  options.alignment = file.alignment();
  options.importance = what.importance;
  options.threads = what.threads > 0 ? what.threads : physical_cores();
  const Interrupt interrupt;
  Progress progress;
  options.progress = interruptible(progress, "measuring types");
  const quantize::Noise noise = quantize::measure_all(tensors, options);
  options.progress = interruptible(progress, "measuring effects");
  const std::vector<double> effects = effects_for(file, tensors, noise, options, args);
  const quantize::Fit fit = quantize::fit(tensors, noise, effects, options);
  progress.clear();
  if (args.explain) {
    std::printf("%s", harmless(quantize::table_of(fit)).c_str());
    write_file(what.to + ".svg", quantize::picture_of(fit));
  }
  quantize::Recipe recipe = quantize::recipe_of(fit);
  if (args.recipe) write_file(*args.recipe, quantize::text_of(recipe));
  return recipe;
}

}  // namespace coterie::cli
