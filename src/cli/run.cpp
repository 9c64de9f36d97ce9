// coterie run [MODEL] [PROMPT]: one prompt, one reply.
#include "base/errors.h"
#include "cli/command.h"
#include "cli/files.h"
#include "cli/machine.h"
#include "cli/model_args.h"
#include "cli/profile_report.h"
#include "cli/reply_printer.h"
#include "cli/sampling_args.h"
#include "cli/terminal.h"
#include "engine/generate.h"
#include "engine/prompt.h"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <string>

namespace coterie::cli {

namespace {

using Json = nlohmann::ordered_json;
constexpr int exit_interrupted = 130;

struct Input {
  std::string model, prompt;
};

// Two arguments are MODEL and PROMPT. A single one is the PROMPT, unless it is called *.gguf or the prompt
// comes from -f.
Input find_input(const std::optional<std::string>& first, const std::optional<std::string>& second,
                 const std::optional<std::string>& file, bool raw) {
  std::optional<std::string> model, prompt = second;
  if (first) (second || file || is_gguf_name(*first) ? model : prompt) = first;
  if (prompt && file) throw UsageError("run: found a PROMPT and --file, expected one of them");
  if (!prompt && !file && is_terminal(stdin))
    throw UsageError("run: PROMPT is missing; see coterie run --help");

  Input input{model ? *model : shipped_model(), prompt ? *prompt : "-"};
  if (input.prompt == "-") {
    input.prompt = read_text(file ? *file : "-");
    if (!raw && input.prompt.ends_with('\n')) input.prompt.pop_back();
  }
  // More likely a lost file or an empty variable than a wish to see what a model makes of nothing.
  if (!raw && input.prompt.find_first_not_of(" \t\r\n") == std::string::npos)
    throw UsageError("run: the prompt is empty");
  return input;
}

Json json_of(const Reply& reply, const Figures& f, const std::string& model) {
  return {{"model", model},
          {"reasoning", reply.reasoning},
          {"answer", reply.answer},
          {"finish", name_of(reply.finish)},
          {"prompt_tokens", reply.n_prompt},
          {"tokens", reply.n_tokens},
          {"prompt_tokens_per_s", f.prompt_rate},
          {"tokens_per_s", f.decode_rate},
          {"bytes_per_s", f.bytes_per_second},
          {"bandwidth_bytes_per_s", f.bandwidth},
          {"logits_hash", hex(reply.logits_hash)}};
}

struct RunArgs {
  explicit RunArgs(Args& args)
      : first(args.maybe_positional("MODEL", "a GGUF file; left out: the model that ships with the program")),
        second(args.maybe_positional("PROMPT", "the question; - or nothing: standard input")),
        file(args.maybe("-f,--file FILE", "read the prompt from a file")),
        system(args.maybe("--system TEXT", "a system message before the prompt")),
        raw(args.flag("--raw", "no chat template: the model goes on with the text")),
        think(think_option(args)),
        json(args.flag("--json", "print one JSON object at the end")),
        profile(args.flag("--profile", "say at the end where the time went, with GB/s")),
        profile_svg(args.maybe("--profile-svg FILE", "draw where the time went")),
        sampling(args),
        engine(engine_options(args)) {
    args.finish();
    if (raw && system) throw UsageError("run: --raw and --system exclude each other");
  }

  std::optional<std::string> first, second, file, system;
  bool raw;
  std::optional<bool> think;
  bool json, profile;
  std::optional<std::string> profile_svg;
  SamplingArgs sampling;
  EngineOptions engine;
};

Prompt make_prompt(const Engine& engine, const RunArgs& a, const std::string& text) {
  const Prompter prompter(engine);
  if (a.raw) return prompter.raw(text);
  Json messages = Json::array();
  if (a.system) messages.push_back({{"role", "system"}, {"content", *a.system}});
  messages.push_back({{"role", "user"}, {"content", text}});
  return prompter.chat(messages, a.think);
}

int run(Args& args) {
  const RunArgs a(args);
  const Input input = find_input(a.first, a.second, a.file, a.raw);
  const Interrupt interrupt;
  const Engine engine(input.model, with_progress(a.engine));
  const Prompt prompt = make_prompt(engine, a, input.prompt);
  GenerateOptions options = a.sampling.resolve(engine);
  options.opened = prompt.opened;
  options.split_reasoning = !a.raw;

  Session session(engine);
  Profile profile;
  if (a.profile || a.profile_svg) session.record_profile(&profile);
  const double loaded = a.profile ? seconds_since_start() : 0;
  ReplyPrinter printer;
  GenerateEvents events{.on_text = {}, .cancelled = Interrupt::requested};
  if (!a.json) events.on_text = [&](auto kind, const std::string& text) { printer.print(kind, text); };
  const Reply reply = generate(engine, session, prompt.tokens, options, events);
  printer.finish();
  const Figures figures = figures_of(reply, engine.options().threads);
  if (a.json)
    std::printf(
        "%s\n",
        json_of(reply, figures, input.model).dump(2, ' ', false, Json::error_handler_t::replace).c_str());
  else
    std::fprintf(stderr, "%s\n", line_of(reply, figures).c_str());
  if (a.profile)
    std::fprintf(stderr, "first step %.2f s after the start\n%s", loaded, table_of(profile).c_str());
  if (a.profile_svg) write_text(*a.profile_svg, svg_of(profile));
  if (reply.finish == Finish::context)
    std::fprintf(stderr, "the reply is cut: the context of %lld tokens is full (--ctx)\n",
                 static_cast<long long>(engine.context()));
  return reply.finish == Finish::cancelled ? exit_interrupted : 0;
}

}  // namespace

const Command run_command{
    "run", "answer one prompt", run,
    "coterie run \"What is 15% of 80?\"\n"
    "coterie run DeepSeek-R1-Q4_K_M-00001-of-00009.gguf \"Why is the sky blue?\" --temp 0\n"
    "coterie run model.gguf -f question.txt --json\n"
    "coterie run model.gguf \"Why?\" --profile --profile-svg profile.svg\n"
    "echo \"Once upon a time\" | coterie run model.gguf --raw -n 100"};

}  // namespace coterie::cli
