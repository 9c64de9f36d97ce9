// coterie eval [MODEL] --problems FILE | --text FILE [--reference MODEL [--report PAGE]]: how good a model is, in
// numbers.
#include "base/cpu.h"
#include "base/errors.h"
#include "cli/command.h"
#include "cli/eval_problems.h"
#include "cli/eval_report.h"
#include "cli/eval_text.h"
#include "cli/files.h"
#include "cli/model_args.h"
#include "cli/terminal.h"

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>

namespace coterie::cli {

namespace {

using Json = nlohmann::ordered_json;
constexpr int exit_interrupted = 130;

struct EvalArgs {
  explicit EvalArgs(Args& args)
      : model(args.maybe_positional("MODEL", "a GGUF file; left out: the shipped one")),
        problems(args.maybe("--problems FILE",
                            "JSON lines {id, family, language, prompt, answer}: exact match, greedy")),
        text(args.maybe("--text FILE", "perplexity of this text")),
        reference(args.maybe("--reference MODEL",
                             "with --text: KL divergence and top-1 agreement against this model")),
        role(args.choice("--role ROLE", {"prompt", "decode"},
                         "with --text: arithmetic of given or of produced tokens")),
        window(args.integer("--window N", 512, {2, 1 << 20},
                            "with --text: tokens after which the context starts anew")),
        special(
            args.flag("--special", "with --text: special tokens count as such, and each BOS starts anew")),
        report(args.maybe(
            "--report PAGE.md",
            "with --text, --reference and perhaps --problems: a page of all, and PAGE.json beside it")),
        max_tokens(args.integer("-n,--max-tokens N", 2048, {1, 1 << 20},
                                "with --problems: tokens of one reply at most")),
        json(args.flag("--json", "print one JSON object")),
        engine(engine_options(args)) {
    args.finish();
    if (report && !(text && reference)) throw UsageError("eval: --report goes with --text and --reference");
    if (report && json_beside(*report) == *report)
      throw UsageError("eval: --report: found " + *report + ", expected the name of the Markdown page");
    if (!report && problems.has_value() == text.has_value())
      throw UsageError("eval: expected either --problems FILE or --text FILE");
    if (reference && !text) throw UsageError("eval: --reference goes with --text");
  }

  std::optional<std::string> model, problems, text, reference;
  std::string role;
  std::int64_t window;
  bool special;
  std::optional<std::string> report;
  std::int64_t max_tokens;
  bool json;
  EngineOptions engine;
};

void print_rates(const char* title, const Json& rates) {
  std::printf("%s\n", title);
  for (const auto& [name, rate] : rates.items())
    std::printf("  %-14s %5.1f %%\n", name.c_str(), 100 * rate.get<double>());
}

// A small model keeps a core busy with single-threaded steps, so problems run side by side; a large one gets
// all threads. Neither changes a bit of the answers.
int side_by_side(const std::string& model, EngineOptions* options) {
  constexpr std::uintmax_t small = 256 << 20;
  std::error_code failed;
  const std::uintmax_t size = std::filesystem::file_size(model, failed);
  if (failed || size > small) return 1;
  const int threads = options->threads > 0 ? options->threads : physical_cores();
  options->threads = 1;
  return threads;
}

Json eval_problems(const EvalArgs& a, const std::string& model) {
  std::vector<Problem> problems = read_problems(*a.problems);
  EngineOptions engine_args = a.engine;
  const int at_once = side_by_side(model, &engine_args);
  const Engine engine(model, with_progress(engine_args));
  Progress bar;
  const double n = static_cast<double>(problems.size());
  solve(engine,
        {.max_tokens = a.max_tokens,
         .at_once = at_once,
         .progress = [&](std::size_t done) { bar.show(static_cast<double>(done) / n, "problems"); },
         .cancelled = Interrupt::requested},
        &problems);
  return scores_of(problems);
}

Json eval_text(const EvalArgs& a, const std::string& model) {
  const std::string text = read_text(*a.text);
  EngineOptions engine_args = a.engine;
  if (engine_args.context == 0) engine_args.context = a.window;
  if (engine_args.context < a.window) throw UsageError("eval: --window is larger than --ctx");
  const Engine engine(model, with_progress(engine_args));
  std::optional<Engine> reference;
  if (a.reference) reference.emplace(*a.reference, with_progress(engine_args));
  Progress bar;
  return score_text(engine, reference ? &*reference : nullptr, text,
                    {.role = a.role == "prompt" ? Role::prompt : Role::decode,
                     .window = a.window,
                     .special = a.special ? text::Special::parse : text::Special::plain,
                     .progress = [&](double fraction) { bar.show(fraction, "tokens"); },
                     .cancelled = Interrupt::requested});
}

void print_text(const Json& r) {
  if (!r.contains("overall")) {
    for (const auto& [name, value] : r.items())
      if (value.is_number()) std::printf("%-21s %g\n", name.c_str(), value.get<double>());
    return;
  }
  std::printf("%d of %d correct, %.1f %%\n", r["correct"].get<int>(), r["problems"].get<int>(),
              100 * r["overall"].get<double>());
  print_rates("by family", r["by_family"]);
  print_rates("by language", r["by_language"]);
}

Json eval_report(const EvalArgs& a, const std::string& model) {
  Json report{{"model", describe_file(model)}, {"original", describe_file(*a.reference)}};
  report["text"] = eval_text(a, model);
  if (a.problems && !Interrupt::requested()) report["problems"]["model"] = eval_problems(a, model);
  if (a.problems && !Interrupt::requested()) report["problems"]["original"] = eval_problems(a, *a.reference);
  return report;
}

std::string dump(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

void print_report(const EvalArgs& a, const Json& report) {
  const std::string page = report_page(report);
  write_text(*a.report, page);
  write_text(json_beside(*a.report), dump(report));
  if (!a.json) std::printf("%s", page.c_str());
}

int eval(Args& args) {
  const EvalArgs a(args);
  const std::string model = a.model ? *a.model : shipped_model();
  const Interrupt interrupt;
  const auto start = std::chrono::steady_clock::now();
  Json results = (a.report ? eval_report : a.problems ? eval_problems : eval_text)(a, model);
  if (Interrupt::requested()) return exit_interrupted;
  results["seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (!a.report) results["model"] = model;
  if (a.report) print_report(a, results);
  if (a.json)
    std::printf("%s", dump(results).c_str());
  else if (!a.report)
    print_text(results);
  return 0;
}

}  // namespace

const Command eval_command{
    "eval", "measure a model: exact match, perplexity, distance to a reference", eval,
    "coterie eval --problems problems.jsonl\n"
    "coterie eval model-Q4_K.gguf --text book.txt --reference model-BF16.gguf --json\n"
    "coterie eval model-Q4_K.gguf --text book.txt --reference model-BF16.gguf --report page.md"};

}  // namespace coterie::cli
