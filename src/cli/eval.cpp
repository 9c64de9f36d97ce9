// coterie eval [MODEL] --problems FILE | --text FILE [--reference MODEL [--report PAGE]]: how good a model is, in
// numbers.
#include "base/errors.h"
#include "cli/command.h"
#include "cli/evaluation.h"
#include "cli/model_args.h"
#include "cli/terminal.h"

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdio>
#include <optional>
#include <string>

namespace coterie::cli {

namespace {

using Json = nlohmann::ordered_json;
constexpr int exit_interrupted = 130;

struct EvalArgs {
  explicit EvalArgs(Args& args) {
    model = args.maybe_positional("MODEL", "a GGUF file; left out: the shipped one");
    e.problems = args.maybe("--problems FILE",
                            "JSON lines {id, family, language, prompt, answer}: exact match, greedy");
    e.text = args.maybe("--text FILE", "perplexity of this text");
    reference =
        args.maybe("--reference MODEL", "with --text: KL divergence and top-1 agreement against this model");
    const std::string role = args.choice("--role ROLE", {"prompt", "decode"},
                                         "with --text: arithmetic of given or of produced tokens");
    e.role = role == "prompt" ? Role::prompt : Role::decode;
    e.window = args.integer("--window N", e.window, {2, 1 << 20},
                            "with --text: tokens after which the context starts anew");
    e.special = args.flag("--special", "with --text: special tokens count as such, and each BOS starts anew");
    report =
        args.maybe("--report PAGE.md",
                   "with --text, --reference and perhaps --problems: a page of all, and PAGE.json beside it");
    e.max_tokens = args.integer("-n,--max-tokens N", e.max_tokens, {1, 1 << 20},
                                "with --problems: tokens of one reply at most");
    json = args.flag("--json", "print one JSON object");
    e.engine = engine_options(args);
    args.finish();
    check();
  }

  void check() const {
    if (report && !(e.text && reference)) throw UsageError("eval: --report goes with --text and --reference");
    if (report) check_report_name("eval", *report);
    if (!report && e.problems.has_value() == e.text.has_value())
      throw UsageError("eval: expected either --problems FILE or --text FILE");
    if (reference && !e.text) throw UsageError("eval: --reference goes with --text");
  }

  Json results(const std::string& of) const {
    if (report) return evaluate_loss(e, of, *reference);
    return e.problems ? evaluate_problems(e, of) : evaluate_text(e, of, reference);
  }

  Evaluation e;
  std::optional<std::string> model, reference, report;
  bool json = false;
};

void print_rates(const char* title, const Json& rates) {
  std::printf("%s\n", title);
  for (const auto& [name, rate] : rates.items())
    std::printf("  %-14s %5.1f %%\n", name.c_str(), 100 * rate.get<double>());
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

int eval(Args& args) {
  const EvalArgs a(args);
  const std::string model = a.model ? *a.model : shipped_model();
  const Interrupt interrupt;
  const auto start = std::chrono::steady_clock::now();
  Json results = a.results(model);
  if (Interrupt::requested()) return exit_interrupted;
  results["seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (!a.report) results["model"] = model;
  const std::string page = a.report ? write_report(*a.report, results) : "";
  if (a.json)
    std::printf("%s", pretty(results).c_str());
  else if (a.report)
    std::printf("%s", page.c_str());
  else
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
