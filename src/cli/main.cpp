// The program: finds the command, runs it, and turns every error into one line on stderr and a documented
// exit code.
//
//   0 done   1 failure   2 usage   3 bad model file   4 not enough memory   5 disk full   130 Ctrl-C   141
//   closed pipe
#include "base/errors.h"
#include "cli/command.h"
#include "cli/suggest.h"
#include "cli/terminal.h"
#include "kernels/kernels.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <vector>

namespace coterie::cli {

namespace {

const std::array commands{
    // Of a group, the longer names come first.
    &run_command,           &chat_command,        &eval_command,        &convert_command,
    &quantize_command,      &calibrate_command,   &inspect_command,     &verify_command,
    &dump_logits_command,   &dump_routes_command, &dump_tokens_command, &dump_text_command,
    &dump_prompt_command,   &dump_tensor_command, &doctor_command,      &bench_encoders_command,
    &bench_kernels_command, &bench_command,       &synth_command,       &version_command,
};

using Words = std::vector<std::string>;

void print_help(const std::string& group) {
  std::printf("coterie: DeepSeek-R1-class models on one workstation\n\nCommands:\n");
  for (const Command* c : commands)
    if (std::string(c->name).starts_with(group)) std::printf("  coterie %-14s %s\n", c->name, c->summary);
  std::printf("\ncoterie COMMAND --help says more, with examples first.\n");
}

// How many words at the front name this command: 0 if they do not.
std::size_t match(const Command& command, const Words& words) {
  const std::string name = command.name;
  if (words.empty()) return 0;
  if (words[0] == name) return 1;
  return words.size() > 1 && words[0] + " " + words[1] == name ? 2 : 0;
}

bool begins_command(const std::string& word) {
  return std::ranges::any_of(commands, [&](const Command* c) {
    const std::string name = c->name;
    return name.substr(0, name.find(' ')) == word;
  });
}

// Options before the command ("coterie --threads 4 run ...") belong behind it.
void move_leading_options(Words* words) {
  auto at = words->begin();
  while (at != words->end() && at->size() > 2 && at->starts_with("--") &&
         at->find(' ') == std::string::npos) {
    const bool has_value =
        at->find('=') == std::string::npos && at + 1 != words->end() && !begins_command(at[1]);
    at += has_value ? 2 : 1;
  }
  std::rotate(words->begin(), at, words->end());
}

[[noreturn]] void unknown(const Words& words) {
  Words names;
  bool group = false;
  for (const Command* c : commands) {
    const std::string name = c->name, first = name.substr(0, name.find(' '));
    group = group || (first == words[0] && first != name);
    names.push_back(first == words[0] ? name.substr(first.size() + 1) : first);
  }
  const std::string help = "; see coterie " + (group ? words[0] + " " : "") + "--help";
  if (!group) throw UsageError("unknown command '" + words[0] + "'" + suggestion(words[0], names) + help);
  if (words.size() < 2) throw UsageError(words[0] + ": says not what" + help);
  throw UsageError(words[0] + ": unknown kind '" + words[1] + "'" + suggestion(words[1], names) + help);
}

int dispatch(Words words) {
  if (!words.empty() && words[0] == "help") words.erase(words.begin()), words.emplace_back("--help");
  if (words.empty() || words[0] == "--help" || words[0] == "-h") {
    print_help("");
    return words.empty() ? 2 : 0;
  }
  if (words[0] == "--version") words[0] = "version";
  move_leading_options(&words);
  for (const Command* c : commands)
    if (const std::size_t n = match(*c, words))
      return execute(*c, Words(words.begin() + static_cast<std::ptrdiff_t>(n), words.end()));
  if (words.size() > 1 && (words[1] == "--help" || words[1] == "-h")) {
    print_help(words[0] + " ");
    return 0;
  }
  unknown(words);
}

int report(const std::string& message, int exit_code) {
  std::fflush(stdout);
  std::fprintf(stderr, "coterie: %s\n", printable(message).c_str());
  return exit_code;
}

}  // namespace

}  // namespace coterie::cli

int main(int argc, char** argv) {
  using namespace coterie::cli;
  install_signal_handlers();
  try {
    coterie::kernels();  // refuses a COTERIE_ISA that cannot run here, whatever the command
    const int exit_code = dispatch(std::vector<std::string>(argv + 1, argv + argc));
    check_stdout();
    return exit_code;
  } catch (const coterie::Error& e) {
    return report(e.what(), e.exit_code());
  } catch (const std::bad_alloc&) {
    return report("not enough memory", 4);
  } catch (const std::exception& e) {
    return report(e.what(), 1);
  }
}
