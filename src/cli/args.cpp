// The only file that knows CLI11, which splits the words; names, help, environment and errors are ours.
#include "cli/args.h"

#include "base/errors.h"
#include "cli/command.h"
#include "cli/suggest.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace coterie::cli {

namespace {

struct Declared {};  // thrown by finish() to end the first pass

struct Declaration {
  std::string names;  // "-n,--max-tokens", or the name of a positional argument
  std::string key;    // "--max-tokens"
  std::string value;  // what the help calls its value; empty: a flag
  std::string help;
  bool positional = false;
  bool required = false;
  CLI::Option* option = nullptr;
};

// Values as given, and where: "--temp" or "COTERIE_TEMP".
struct Given {
  std::vector<std::string> values;
  std::string source;
};

std::string variable_of(const std::string& key) {  // "--max-tokens": COTERIE_MAX_TOKENS
  std::string name = "COTERIE_";
  for (const char c : key.substr(std::min(key.find_first_not_of('-'), key.size())))
    name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

Declaration split(const std::string& names, const std::string& help) {
  Declaration d;
  const std::size_t space = names.find(' ');
  d.names = names.substr(0, space);
  d.key = d.names.substr(d.names.find(',') == std::string::npos ? 0 : d.names.find(',') + 1);
  d.value = space == std::string::npos ? "VALUE" : names.substr(space + 1);
  d.help = help;
  return d;
}

template <class T>
std::string text_of(T value) {
  char buffer[64];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
  return error == std::errc() ? std::string(buffer, end) : std::string("?");
}

template <class T>
T parse_number(const std::string& text, const std::string& source, Bounds<T> allowed) {
  T value{};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || !(value >= allowed.low && value <= allowed.high))
    throw UsageError(source + ": found '" + text + "', expected a number from " + text_of(allowed.low) +
                     " to " + text_of(allowed.high));
  return value;
}

bool parse_switch(const std::string& text, const std::string& source) {
  for (const char* yes : {"1", "true", "yes", "on"})
    if (text == yes) return true;
  for (const char* no : {"0", "false", "no", "off"})
    if (text == no) return false;
  throw UsageError(source + ": found '" + text + "', expected 1 or 0");
}

}  // namespace

struct Args::Impl {
  explicit Impl(const Command& c) : command(c) {
    app.set_help_flag();
    app.allow_extras();
    app.add_flag("-h,--help");
  }

  // First pass: notes the declaration. Second pass: finds what was given for it.
  Given declare(Declaration d) {
    if (!parsed) {
      d.option = d.value.empty() ? app.add_flag(d.names) : app.add_option(d.names);
      if (!d.value.empty()) d.option->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
      declarations.push_back(std::move(d));
      return {};
    }
    const Declaration& known = declarations[next++];
    if (known.option->count() > 0) return {known.option->results(), known.key};
    const char* value = known.positional ? nullptr : std::getenv(variable_of(known.key).c_str());
    if (value != nullptr && *value != '\0') return {{value}, variable_of(known.key)};
    return {{}, known.key};
  }

  // The last value given, if any: a later option overrides an earlier one.
  std::optional<std::string> single(const std::string& names, const std::string& help, std::string* source) {
    const Given given = declare(split(names, help));
    *source = given.source;
    if (given.values.empty()) return std::nullopt;
    return given.values.back();
  }

  Given add_positional(const std::string& name, const std::string& help, bool required) {
    Declaration d;
    d.names = d.key = d.value = name;
    d.help = help;
    d.positional = true;
    d.required = required;
    return declare(std::move(d));
  }

  bool parse(const std::vector<std::string>& words);
  void check_leftovers() const;
  void print_help() const;
  [[noreturn]] void fail(const std::string& what) const {
    throw UsageError(std::string(command.name) + ": " + what + "; see " + name() + " --help");
  }
  std::string name() const { return std::string("coterie ") + command.name; }

  const Command& command;
  CLI::App app;
  std::vector<Declaration> declarations;
  std::size_t next = 0;
  bool parsed = false;
};

// False: the help was asked for.
bool Args::Impl::parse(const std::vector<std::string>& words) {
  parsed = true;
  std::vector<std::string> reversed(words.rbegin(), words.rend());  // CLI11 takes them from the back
  try {
    app.parse(std::move(reversed));
  } catch (const CLI::ArgumentMismatch& e) {
    fail(std::string(e.what()).substr(0, std::string_view(e.what()).find(':')) + ": its value is missing");
  } catch (const CLI::ParseError& e) {
    fail(e.what());
  }
  if (app.get_option("--help")->count() > 0) return false;
  check_leftovers();
  for (const Declaration& d : declarations)
    if (d.required && d.option->count() == 0) fail(d.key + " is missing (" + d.help + ")");
  return true;
}

void Args::Impl::check_leftovers() const {
  std::vector<std::string> rest = app.remaining();
  std::erase(rest, "--");
  if (rest.empty()) return;
  const std::string word = rest.front().substr(0, rest.front().find('='));
  if (word.size() < 2 || word[0] != '-') fail("unexpected argument '" + rest.front() + "'");
  std::vector<std::string> known{"--help"};
  for (const Declaration& d : declarations)
    if (!d.positional) known.push_back(d.key);
  fail("unknown option " + word + suggestion(word, known));
}

void Args::Impl::print_help() const {
  std::printf("%s: %s\n", name().c_str(), command.summary);
  std::string examples = command.examples;
  if (!examples.empty()) std::printf("\nExamples:\n");
  for (std::size_t at = 0; at < examples.size();) {
    const std::size_t end = std::min(examples.find('\n', at), examples.size());
    std::printf("  %s\n", examples.substr(at, end - at).c_str());
    at = end + 1;
  }
  std::string usage = "Usage: " + name();
  std::size_t width = 10;
  for (const Declaration& d : declarations) {
    if (d.positional) usage += d.required ? " " + d.key : " [" + d.key + "]";
    width = std::max(width, d.names.size() + (d.positional ? 0 : d.value.size() + 1));
  }
  std::printf("\n%s [options]\n\n", usage.c_str());
  for (const Declaration& d : declarations) {
    const std::string left = d.names + (d.positional || d.value.empty() ? "" : " " + d.value);
    std::printf("  %-*s  %s\n", static_cast<int>(width), left.c_str(), d.help.c_str());
  }
  std::printf("  %-*s  print this\n", static_cast<int>(width), "-h,--help");
  std::printf(
      "\nEvery option may come from the environment instead: --some-option is COTERIE_SOME_OPTION; an empty "
      "one "
      "counts as not set.\n");
}

Args::Args(const Command& command) : impl_(std::make_unique<Impl>(command)) {}
Args::~Args() = default;

std::string Args::positional(const std::string& name, const std::string& help) {
  const Given given = impl_->add_positional(name, help, true);
  return given.values.empty() ? "" : given.values.front();
}

std::optional<std::string> Args::maybe_positional(const std::string& name, const std::string& help) {
  const Given given = impl_->add_positional(name, help, false);
  if (given.values.empty()) return std::nullopt;
  return given.values.front();
}

bool Args::flag(const std::string& names, const std::string& help) {
  Declaration d = split(names, help);
  d.value.clear();
  const Given given = impl_->declare(std::move(d));
  return !given.values.empty() && parse_switch(given.values.back(), given.source);
}

std::string Args::option(const std::string& names, const std::string& fallback, const std::string& help) {
  std::string source;
  return impl_->single(names, fallback.empty() ? help : help + " [" + fallback + "]", &source)
      .value_or(fallback);
}

std::optional<std::string> Args::maybe(const std::string& names, const std::string& help) {
  std::string source;
  return impl_->single(names, help, &source);
}

std::vector<std::string> Args::list(const std::string& names, const std::string& help) {
  return impl_->declare(split(names, help)).values;
}

std::string Args::choice(const std::string& names, const std::vector<std::string>& allowed,
                         const std::string& help) {
  std::string all, source;
  for (const std::string& a : allowed) all += (all.empty() ? "" : "|") + a;
  const std::optional<std::string> given =
      impl_->single(names, help + ": " + all + " [" + allowed.front() + "]", &source);
  if (!given) return allowed.front();
  for (const std::string& a : allowed)
    if (std::equal(a.begin(), a.end(), given->begin(), given->end(), [](char x, char y) {
          return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
        }))
      return a;
  throw UsageError(source + ": found '" + *given + "', expected " + all);
}

std::int64_t Args::integer(const std::string& names, std::int64_t fallback, Bounds<std::int64_t> allowed,
                           const std::string& help) {
  return maybe_integer(names, allowed, help + " [" + text_of(fallback) + "]").value_or(fallback);
}

double Args::number(const std::string& names, double fallback, Bounds<double> allowed,
                    const std::string& help) {
  return maybe_number(names, allowed, help + " [" + text_of(fallback) + "]").value_or(fallback);
}

std::optional<std::int64_t> Args::maybe_integer(const std::string& names, Bounds<std::int64_t> allowed,
                                                const std::string& help) {
  std::string source;
  const std::optional<std::string> given = impl_->single(names, help, &source);
  if (!given) return std::nullopt;
  return parse_number(*given, source, allowed);
}

std::optional<double> Args::maybe_number(const std::string& names, Bounds<double> allowed,
                                         const std::string& help) {
  std::string source;
  const std::optional<std::string> given = impl_->single(names, help, &source);
  if (!given) return std::nullopt;
  return parse_number(*given, source, allowed);
}

void Args::finish() {
  if (!impl_->parsed) throw Declared{};
}

int execute(const Command& command, const std::vector<std::string>& words) {
  Args args(command);
  try {
    command.function(args);
    throw std::logic_error(std::string(command.name) + ": the command does not call finish()");
  } catch (const Declared&) {
  }
  if (!args.impl_->parse(words)) {
    args.impl_->print_help();
    return 0;
  }
  return command.function(args);
}

}  // namespace coterie::cli
