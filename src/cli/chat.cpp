// coterie chat [MODEL]: a conversation in which the key-value cache stays. Each turn renders all messages
// again and keeps the longest beginning that the cache already holds; only what the template changed (it
// drops old reasoning) is fed anew.
#include "base/errors.h"
#include "cli/command.h"
#include "cli/conversation.h"
#include "cli/line_reader.h"
#include "cli/model_args.h"
#include "cli/reply_printer.h"
#include "cli/sampling_args.h"
#include "cli/suggest.h"
#include "cli/terminal.h"
#include "engine/generate.h"
#include "engine/prompt.h"

#include <sys/stat.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>

namespace coterie::cli {

namespace {

constexpr const char* automatic = "last";  // the session that is saved after every turn

class Chat {
 public:
  Chat(const Engine& engine, Conversation conversation, const GenerateOptions& options, std::string name)
      : engine_(engine),
        prompter_(engine),
        session_(engine),
        conversation_(std::move(conversation)),
        options_(options),
        name_(std::move(name)) {}

  int talk(LineReader& reader);

 private:
  using Words = std::istringstream;
  struct Order {
    const char *name, *arguments, *help;
    void (Chat::*run)(Words& rest);
  };
  static const std::array<Order, 10> orders;

  void obey(const std::string& line);
  void answer(const std::string& text);
  void reply();
  void complain(const Error& e);

  void think(Words& rest);
  void save(Words& rest);
  void load(Words& rest);
  void regenerate(Words& rest);
  void tokens(Words& rest);
  void set(Words& rest);
  void system(Words& rest);
  void clear(Words& rest);
  void help(Words& rest);
  void leave(Words& rest);

  const Engine& engine_;
  const Prompter prompter_;
  Session session_;
  Conversation conversation_;
  GenerateOptions options_;
  std::string name_;  // where turns are saved
  Reply last_;        // for /tokens
  int attempts_ = 0;  // of /regen at this turn: each draws with another seed
  bool leaving_ = false;
  int exit_code_ = 0;
};

const std::array<Chat::Order, 10> Chat::orders{{
    {"/think", "on|off|auto", "reason before answering; auto: as the template has it", &Chat::think},
    {"/system", "TEXT", "set the system message; without TEXT: remove it", &Chat::system},
    {"/set", "[NAME VALUE]", "show or change a setting: temp, top-p, seed, max-tokens, ...", &Chat::set},
    {"/tokens", "", "how full the context is, and how fast the last reply was", &Chat::tokens},
    {"/regen", "", "answer the last question again, differently", &Chat::regenerate},
    {"/save", "[NAME]", "save the conversation, and go on saving it there", &Chat::save},
    {"/load", "NAME", "go on with a saved conversation", &Chat::load},
    {"/clear", "", "start a new conversation", &Chat::clear},
    {"/help", "", "this list", &Chat::help},
    {"/exit", "", "leave; so does Ctrl-D", &Chat::leave},
}};

// A line ending in \ goes on; """ begins and ends a block of lines.
LineReader::Result read_message(LineReader& reader, std::string* message) {
  const std::string fence = "\"\"\"";
  LineReader::Result result = reader.read(">>> ", message);
  if (result != LineReader::Result::line) return result;
  std::string line;
  if (message->starts_with(fence)) {
    message->erase(0, fence.size());
    while (!message->ends_with(fence)) {
      if ((result = reader.read("... ", &line)) == LineReader::Result::interrupted) return result;
      if (result == LineReader::Result::end) return LineReader::Result::line;
      *message += "\n" + line;
    }
    message->resize(message->size() - fence.size());
    if (message->starts_with('\n')) message->erase(0, 1);
    if (message->ends_with('\n')) message->pop_back();
    return LineReader::Result::line;
  }
  while (message->ends_with('\\')) {
    message->back() = '\n';
    if ((result = reader.read("... ", &line)) == LineReader::Result::interrupted) return result;
    *message += line;  // at the end of the input there is none
  }
  return LineReader::Result::line;
}

int Chat::talk(LineReader& reader) {
  if (reader.interactive())
    std::fprintf(stderr, "%s; /help lists the commands\n", printable(conversation_.model).c_str());
  std::string message;
  while (!leaving_) {
    const LineReader::Result result = read_message(reader, &message);
    if (result == LineReader::Result::end) break;
    if (result == LineReader::Result::interrupted) {
      std::fprintf(stderr, "(Ctrl-D or /exit leaves)\n");
      continue;
    }
    try {
      if (message.starts_with('/'))
        obey(message);
      else if (message.find_first_not_of(" \t\n") != std::string::npos)
        answer(message);
    } catch (const FileError&) {
      throw;  // the model can no longer be read
    } catch (const Error& e) {
      complain(e);
    }
  }
  return reader.interactive() ? 0 : exit_code_;
}

void Chat::complain(const Error& e) {
  exit_code_ = dynamic_cast<const DiskFullError*>(&e) != nullptr ? e.exit_code() : 1;
  std::fprintf(stderr, "%s\n", printable(e.what()).c_str());
}

void Chat::obey(const std::string& line) {
  Words words(line);
  std::string name;
  words >> name;
  std::vector<std::string> names;
  for (const Order& o : orders) {
    if (name == o.name) return (this->*o.run)(words);
    names.emplace_back(o.name);
  }
  throw UsageError(name + ": unknown command" + suggestion(name, names) + "; /help lists them");
}

void Chat::answer(const std::string& text) {
  conversation_.messages.push_back({"user", text, ""});
  attempts_ = 0;
  reply();
}

// Answers the last message. When the prompt does not fit, that message goes and the conversation is as
// before.
void Chat::reply() {
  const Interrupt interrupt;
  ReplyPrinter printer;
  const GenerateEvents events{
      .on_text = [&](auto kind, const std::string& text) { printer.print(kind, text); },
      .cancelled = Interrupt::requested};
  GenerateOptions options = options_;
  options.sampling.seed += static_cast<std::uint64_t>(attempts_);
  try {
    const Prompt prompt = prompter_.chat(conversation_.prompt_messages(), conversation_.think);
    options.opened = prompt.opened;
    last_ = generate(engine_, session_, prompt.tokens, options, events);
  } catch (const Error&) {
    conversation_.messages.pop_back();
    throw;
  }
  printer.finish();
  if (last_.finish == Finish::cancelled) std::fprintf(stderr, "(stopped)\n");
  if (last_.finish == Finish::context)
    std::fprintf(stderr, "(the context is full; /clear or a larger --ctx)\n");
  conversation_.messages.push_back({"assistant", last_.answer, last_.reasoning});
  save_conversation(conversation_, name_);
}

void Chat::think(Words& rest) {
  std::string how;
  rest >> how;
  if (how != "on" && how != "off" && how != "auto")
    throw UsageError("/think: found '" + how + "', expected on, off or auto");
  conversation_.think = how == "auto" ? std::nullopt : std::optional<bool>(how == "on");
}

void Chat::save(Words& rest) {
  std::string name = name_;
  rest >> name;
  save_conversation(conversation_, name);
  name_ = name;
  std::fprintf(stderr, "saved as %s; coterie chat --resume --session %s goes on\n", name_.c_str(),
               name_.c_str());
}

void Chat::load(Words& rest) {
  std::string name;
  rest >> name;
  Conversation loaded = load_conversation(name);
  loaded.model = conversation_.model;  // the messages go on with the model that runs
  conversation_ = std::move(loaded);
  name_ = name;
  std::fprintf(stderr, "%zu messages\n", conversation_.messages.size());
}

void Chat::regenerate(Words&) {
  if (conversation_.messages.empty() || conversation_.messages.back().role != "assistant")
    throw UsageError("/regen: there is no answer yet");
  conversation_.messages.pop_back();
  ++attempts_;
  reply();
}

void Chat::tokens(Words&) {
  std::printf("%zu of %lld tokens in the context, %zu messages\n", session_.tokens().size(),
              static_cast<long long>(engine_.context()), conversation_.messages.size());
  if (last_.n_prompt == 0) return;
  std::printf("last reply: %lld tokens of the prompt were in the cache; %s\n",
              static_cast<long long>(last_.n_reused),
              line_of(last_, figures_of(last_, engine_.options().threads)).c_str());
}

void Chat::set(Words& rest) {
  std::string name, text;
  if (!(rest >> name)) {
    for (const Setting& s : settings())
      std::printf("%-18s %.*g\n", s.name, s.whole ? 16 : 6, s.get(options_));
    return;
  }
  const Setting* setting = find_setting(name);
  std::vector<std::string> names;
  for (const Setting& s : settings()) names.emplace_back(s.name);
  if (setting == nullptr) throw UsageError("/set: unknown setting '" + name + "'" + suggestion(name, names));
  rest >> text;
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0')
    throw UsageError("/set " + name + ": found '" + text + "', expected a number");
  apply_setting(*setting, value, "/set " + name, &options_);
}

void Chat::system(Words& rest) {
  std::string text;
  std::getline(rest >> std::ws, text);
  std::vector<Message>& messages = conversation_.messages;
  if (!messages.empty() && messages.front().role == "system") messages.erase(messages.begin());
  if (!text.empty()) messages.insert(messages.begin(), {"system", text, ""});
}

void Chat::clear(Words&) {
  conversation_.messages.clear();
  name_ = automatic;
}

void Chat::help(Words&) {
  for (const Order& o : orders)
    std::printf("%-22s %s\n", (std::string(o.name) + " " + o.arguments).c_str(), o.help);
  std::printf(
      "A line ending in \\ goes on; \"\"\" begins and ends a block of lines. Ctrl-C stops an answer.\n");
}

void Chat::leave(Words&) { leaving_ = true; }

int chat(Args& args) {
  const std::optional<std::string> model =
      args.maybe_positional("MODEL", "a GGUF file; left out: the shipped one");
  const bool resume = args.flag("--resume", "go on with the session where it was left, also after a restart");
  const std::string name =
      args.option("--session NAME", automatic, "the session to resume, and to save every turn in");
  const std::optional<std::string> system_text = args.maybe("--system TEXT", "a system message");
  const bool no_history = args.flag("--no-history", "do not keep typed lines for the next session");
  const std::optional<bool> think = think_option(args);
  const SamplingArgs sampling(args);
  const EngineOptions engine_args = engine_options(args);
  args.finish();
  umask(S_IRWXG | S_IRWXO);  // what people talk about is theirs alone

  Conversation conversation;
  if (resume) conversation = load_conversation(name);
  if (model || !resume)
    conversation.model = std::filesystem::absolute(model ? *model : shipped_model()).string();
  if (think) conversation.think = think;
  if (system_text && !resume) conversation.messages.push_back({"system", *system_text, ""});

  const Engine engine(conversation.model, with_progress(engine_args));
  LineReader reader(no_history ? "" : state_folder() + "/history");
  if (resume && reader.interactive())
    std::fprintf(stderr, "resumed: %zu messages\n", conversation.messages.size());
  return Chat(engine, std::move(conversation), sampling.resolve(engine), name).talk(reader);
}

}  // namespace

const Command chat_command{"chat", "talk with a model", chat,
                           "coterie chat\ncoterie chat model.gguf --ctx 32768\ncoterie chat --resume\n"
                           "printf 'Hello\\n/tokens\\n' | coterie chat model.gguf"};

}  // namespace coterie::cli
