#include "cli/evaluation.h"

#include "base/cpu.h"
#include "base/errors.h"
#include "cli/eval_problems.h"
#include "cli/eval_report.h"
#include "cli/eval_text.h"
#include "cli/files.h"
#include "cli/model_args.h"
#include "cli/terminal.h"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <filesystem>

namespace coterie::cli {

namespace {

using Json = nlohmann::ordered_json;

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

}  // namespace

Json evaluate_text(const Evaluation& e, const std::string& model,
                   const std::optional<std::string>& reference) {
  const std::string text = read_text(*e.text);
  EngineOptions engine_args = e.engine;
  if (engine_args.context == 0) engine_args.context = e.window;
  if (engine_args.context < e.window)
    throw UsageError("--window: found " + std::to_string(e.window) + ", expected at most --ctx, which is " +
                     std::to_string(engine_args.context));
  const Engine engine(model, with_progress(engine_args));
  std::optional<Engine> other;
  if (reference) other.emplace(*reference, with_progress(engine_args));
  Progress bar;
  return score_text(engine, other ? &*other : nullptr, text,
                    {.role = e.role,
                     .window = e.window,
                     .special = e.special ? text::Special::parse : text::Special::plain,
                     .progress = [&](double fraction) { bar.show(fraction, "tokens"); },
                     .cancelled = Interrupt::requested});
}

Json evaluate_problems(const Evaluation& e, const std::string& model) {
  std::vector<Problem> problems = read_problems(*e.problems);
  EngineOptions engine_args = e.engine;
  const int at_once = side_by_side(model, &engine_args);
  const Engine engine(model, with_progress(engine_args));
  Progress bar;
  const double n = static_cast<double>(problems.size());
  solve(engine,
        {.max_tokens = e.max_tokens,
         .at_once = at_once,
         .progress = [&](std::size_t done) { bar.show(static_cast<double>(done) / n, "problems"); },
         .cancelled = Interrupt::requested},
        &problems);
  return scores_of(problems);
}

Json evaluate_loss(const Evaluation& e, const std::string& model, const std::string& original) {
  Json report{{"model", describe_file(model)}, {"original", describe_file(original)}};
  report["text"] = evaluate_text(e, model, original);
  if (e.problems && !Interrupt::requested()) report["problems"]["model"] = evaluate_problems(e, model);
  if (e.problems && !Interrupt::requested()) report["problems"]["original"] = evaluate_problems(e, original);
  return report;
}

void check_evaluation(const Evaluation& e, const std::string& original) {
  read_text(*e.text);
  if (e.problems) read_problems(*e.problems);
  const Engine runs(original, e.engine);
}

std::string write_report(const std::string& page, const Json& report) {
  const std::string text = report_page(report);
  write_text(page, text);
  write_text(json_beside(page), pretty(report));
  return text;
}

void check_report_name(const std::string& command, const std::string& page) {
  if (json_beside(page) == page)
    throw UsageError(command + ": --report: found " + page + ", expected the name of the Markdown page");
}

std::string pretty(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace coterie::cli
