// coterie quantize IN.gguf OUT.gguf --type TYPE|--recipe FILE|--fit SIZE [--imatrix FILE] [--pure] [--dry-run] ...
#include "quantize/quantize.h"

#include "base/errors.h"
#include "base/output_file.h"
#include "cli/command.h"
#include "cli/files.h"
#include "cli/fit.h"
#include "cli/terminal.h"

#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>

namespace coterie::cli {

namespace {

struct Wanted {
  std::string from, to;
  std::optional<std::string> type, recipe, imatrix;
  FitArgs fit;
  bool pure, allow_requantize, dry_run;
  int threads;
};

Wanted parse(Args& args) {
  Wanted w;
  w.from = args.positional("IN", "a GGUF file (F32, F16 or BF16 at best), or the first part of a split one");
  w.to = args.positional("OUT", "the GGUF file to write");
  w.type = args.maybe("--type TYPE", "one type (Q4_K) or a mix (Q4_K_M); a name that is both means the mix");
  w.recipe =
      args.maybe("--recipe FILE", "lines 'tensor pattern = type'; the first that matches wins over --type");
  w.fit = fit_args(args);
  w.imatrix = args.maybe("--imatrix FILE", "importance matrix: which weights matter");
  w.pure = args.flag("--pure", "the type itself, on every matrix");
  w.allow_requantize = args.flag("--allow-requantize", "start from a file that has lost precision already");
  w.dry_run = args.flag("--dry-run", "print every tensor's type and size, write nothing");
  w.threads = static_cast<int>(args.integer("--threads N", 0, {0, 1024}, "0: one per CPU"));
  args.finish();
  return w;
}

void print_plan(const quantize::Plan& plan) {
  for (const quantize::PlannedTensor& t : plan.tensors) {
    std::string shape;
    for (int i = 0; i < t.source->n_dims; ++i)
      shape += (i > 0 ? " x " : "") + std::to_string(t.source->shape[static_cast<std::size_t>(i)]);
    std::printf("%-40s %-24s %-7s %-7s %14llu\n", printable(t.source->name).c_str(), shape.c_str(),
                t.source->format->name, t.format->name, static_cast<unsigned long long>(t.bytes()));
  }
  std::printf("total: %zu tensors, %llu bytes (%s), %.3f bits per weight\n", plan.tensors.size(),
              static_cast<unsigned long long>(plan.bytes()), human_bytes(plan.bytes()).c_str(),
              static_cast<double>(plan.bytes()) * 8 /
                  static_cast<double>(std::max<std::int64_t>(1, plan.elements())));
}

void check_not_input(const gguf::Reader& file, const std::string& to) {
  std::error_code ignored;
  for (int i = 0; i <= file.tensors().back().file; ++i)
    if (std::filesystem::equivalent(file.file_path(i), to, ignored))
      throw UsageError(to + ": is the input; the output needs a name of its own");
}

int quantize_file(Args& args) {
  const Wanted w = parse(args);
  if (!w.type && !w.recipe && !w.fit.wanted())
    throw UsageError("quantize: --type TYPE, --recipe FILE or --fit SIZE is missing");
  if (w.fit.wanted() && (w.type || w.recipe || w.pure))
    throw UsageError("quantize: --fit chooses every type, expected no --type, --recipe or --pure beside it");
  quantize::PlanOptions options;
  std::optional<quantize::Recipe> recipe;
  if (w.type) options.wish.type = quantize::find_type(*w.type, w.pure);
  if (w.recipe) options.wish.recipe = &recipe.emplace(quantize::read_recipe(*w.recipe));
  options.wish.pure = w.pure;
  options.allow_requantize = w.allow_requantize;
  std::optional<quantize::ImportanceMatrix> importance;
  if (w.imatrix) options.importance = &importance.emplace(*w.imatrix);
  gguf::Reader file(w.from);
  if (!file.tensors().empty()) check_not_input(file, w.to);
  if (w.fit.wanted()) {
    quantize::PlanOptions any = options;  // refusals come before the long measuring
    any.wish.type = quantize::find_type("Q4_0", false);
    quantize::make_plan(file, any);
    options.wish.recipe = &recipe.emplace(fit_recipe({file, w.to, options.importance, w.threads}, w.fit));
  }
  const quantize::Plan plan = quantize::make_plan(file, options);
  for (const std::string& line : plan.warnings)
    std::fprintf(stderr, "warning: %s\n", printable(line).c_str());
  if (w.dry_run) {
    print_plan(plan);
    return 0;
  }
  {
    const Interrupt interrupt;
    Progress progress;
    quantize::quantize(file, plan,
                       {.to = w.to,
                        .importance = options.importance,
                        .threads = w.threads,
                        .progress = interruptible(progress, "quantizing")});
  }
  report_written(w.to);
  return 0;
}

}  // namespace

const Command quantize_command{
    "quantize", "make a GGUF file smaller: other types for its matrices", quantize_file,
    "coterie quantize r1-bf16.gguf r1-q4.gguf --type Q4_K_M\n"
    "coterie quantize r1-bf16.gguf r1-iq2.gguf --type IQ2_XS --imatrix r1.imatrix.gguf\n"
    "coterie quantize r1-bf16.gguf r1-own.gguf --recipe own.txt --dry-run\n"
    "coterie quantize r1-bf16.gguf r1-192.gguf --fit 192GB --imatrix r1.imatrix.gguf --explain --picture "
    "r1.svg"};

}  // namespace coterie::cli
