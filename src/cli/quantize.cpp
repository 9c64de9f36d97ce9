// coterie quantize IN.gguf OUT.gguf --type TYPE|--recipe FILE|--fit SIZE [--imatrix FILE] [--pure] [--dry-run] ...
#include "quantize/quantize.h"

#include "base/errors.h"
#include "cli/command.h"
#include "cli/evaluation.h"
#include "cli/files.h"
#include "cli/fit.h"
#include "cli/terminal.h"
#include "cli/writing_args.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>

namespace coterie::cli {

namespace {

struct Wanted {
  std::string from, to;
  std::optional<std::string> type, recipe, imatrix, report;
  Evaluation evaluation;  // with a report
  FitArgs fit;
  bool pure, allow_requantize;
  WritingArgs writing;
};

void check(const Wanted& w) {
  if (!w.type && !w.recipe && !w.fit.wanted())
    throw UsageError("quantize: --type TYPE, --recipe FILE or --fit SIZE is missing");
  if (w.fit.wanted() && (w.type || w.recipe || w.pure))
    throw UsageError("quantize: --fit chooses every type, expected no --type, --recipe or --pure beside it");
  if (w.report.has_value() != w.evaluation.text.has_value() || (w.evaluation.problems && !w.report))
    throw UsageError("quantize: --report PAGE.md, --report-text FILE: found one of them, expected both");
  if (w.report && w.writing.dry_run)
    throw UsageError("quantize: --report: found --dry-run beside it, which writes no file");
  if (w.report) check_report_name("quantize", *w.report);
}

Wanted parse(Args& args) {
  Wanted w;
  w.from = args.positional("IN", "a GGUF file (F32, F16 or BF16 at best), or the first part of a split one");
  w.to = args.positional("OUT", "the GGUF file to write");
  w.type = args.maybe("--type TYPE", "one type (Q4_K) or a mix (Q4_K_M); a name that is both means the mix");
  w.recipe =
      args.maybe("--recipe FILE", "lines 'tensor pattern = type'; the first that matches goes before --type");
  w.fit = fit_args(args);
  w.imatrix = args.maybe("--imatrix FILE", "importance matrix: which weights matter");
  w.pure = args.flag("--pure", "the type itself, on every matrix");
  w.allow_requantize = args.flag("--allow-requantize", "start from types that have lost precision already");
  w.report = args.maybe("--report PAGE.md",
                        "when done: a page about what was lost against IN, and PAGE.json beside it");
  w.evaluation.text = args.maybe("--report-text FILE", "what both files read for the report");
  w.evaluation.problems =
      args.maybe("--report-problems FILE", "problems for the report: see eval --problems");
  w.writing = writing_args(args);
  args.finish();
  check(w);
  w.evaluation.special = true;
  w.evaluation.engine.threads = w.writing.threads;
  return w;
}

gguf::Facts facts(const Wanted& w, const quantize::Recipe* recipe) {
  gguf::Facts facts;
  if (w.type) facts.emplace_back("--type", *w.type);
  if (recipe != nullptr) facts.emplace_back("--recipe", quantize::text_of(*recipe));
  if (w.pure) facts.emplace_back("--pure", "1");
  return facts;
}

void print_table(const quantize::Quantization& q) {
  std::int64_t weights = 0;
  for (int i = 0; i < q.file().tensor_count(); ++i) {
    const quantize::PlannedTensor& t = q.plan().tensors[static_cast<std::size_t>(i)];
    std::string shape;
    for (int d = 0; d < t.source->n_dims; ++d)
      shape += (d > 0 ? " x " : "") + std::to_string(t.source->shape[static_cast<std::size_t>(d)]);
    std::printf("%-40s %-24s %-7s %-7s %14llu\n", printable(t.source->name).c_str(), shape.c_str(),
                t.source->format->name, t.format->name,
                static_cast<unsigned long long>(q.file().tensor_bytes(i)));
    weights += t.source->elements();
  }
  print_sizes(q.file(), weights);
}

void print_json(const quantize::Quantization& q) {
  nlohmann::ordered_json tensors = nlohmann::ordered_json::array();
  for (int i = 0; i < q.file().tensor_count(); ++i) {
    const quantize::PlannedTensor& t = q.plan().tensors[static_cast<std::size_t>(i)];
    const auto shape = std::span(t.source->shape).first(static_cast<std::size_t>(t.source->n_dims));
    tensors.push_back({{"name", t.source->name},
                       {"from", t.source->format->name},
                       {"type", t.format->name},
                       {"shape", std::vector(shape.begin(), shape.end())},
                       {"bytes", q.file().tensor_bytes(i)}});
  }
  const nlohmann::ordered_json out{
      {"paths", q.file().paths()}, {"bytes", q.file().file_bytes()}, {"tensors", tensors}};
  std::printf("%s\n", out.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
}

// The types that fit; whatever is refused is refused before the long measuring.
quantize::Recipe fit(const Wanted& w, quantize::PlanOptions options) {
  gguf::Reader file(w.from);
  options.wish.type = quantize::find_type("Q4_0", false);
  quantize::make_plan(file, options);
  return fit_recipe({file, w.to, options.importance, w.writing.threads}, w.fit);
}

int report(const Wanted& w, const std::string& model) {
  const nlohmann::ordered_json loss = evaluate_loss(w.evaluation, model, w.from);
  if (Interrupt::requested())
    throw Error("interrupted; the file is whole, eval --report writes the page", 130);
  std::printf("%s", write_report(*w.report, loss).c_str());
  return 0;
}

int quantize_file(Args& args) {
  const Wanted w = parse(args);
  if (w.report) check_evaluation(w.evaluation, w.from);
  quantize::QuantizeOptions options;
  options.from = w.from;
  options.to = w.to;
  if (w.type) options.plan.wish.type = quantize::find_type(*w.type, w.pure);
  std::optional<quantize::Recipe> recipe;
  if (w.recipe) options.plan.wish.recipe = &recipe.emplace(quantize::read_recipe(*w.recipe));
  options.plan.wish.pure = w.pure;
  options.plan.allow_requantize = w.allow_requantize;
  std::optional<quantize::ImportanceMatrix> importance;
  if (w.imatrix) options.plan.importance = &importance.emplace(*w.imatrix);
  if (w.fit.wanted()) options.plan.wish.recipe = &recipe.emplace(fit(w, options.plan));
  options.facts = facts(w, options.plan.wish.recipe);
  options.split_bytes = split_bytes(w.writing);
  options.threads = w.writing.threads;

  const Interrupt interrupt;
  Progress progress, verifying;
  options.progress = interruptible(progress, "quantizing", "interrupted");
  options.journal = journal_options(w.writing, verifying);
  quantize::Quantization quantization(options);
  for (const std::string& line : quantization.plan().warnings)
    std::fprintf(stderr, "warning: %s\n", printable(line).c_str());
  if (w.writing.dry_run) {
    (w.writing.json ? print_json : print_table)(quantization);
    return 0;
  }
  quantization.run();
  for (const std::string& path : quantization.file().paths()) report_written(path);
  return w.report ? report(w, quantization.file().paths().front()) : 0;
}

}  // namespace

const Command quantize_command{
    "quantize", "make a GGUF file smaller: other types for its matrices", quantize_file,
    "coterie quantize r1-bf16.gguf r1-q4.gguf --type Q4_K_M\n"
    "coterie quantize r1-bf16.gguf r1-iq2.gguf --type IQ2_XS --imatrix r1.imatrix.gguf --split 48G\n"
    "coterie quantize r1-bf16.gguf r1-own.gguf --recipe own.txt --dry-run\n"
    "coterie quantize r1-bf16.gguf r1-192.gguf --fit 192GB --imatrix r1.imatrix.gguf --explain\n"
    "coterie quantize small-bf16.gguf small-q4.gguf --type Q4_K_M --report page.md --report-text book.txt"};

}  // namespace coterie::cli
