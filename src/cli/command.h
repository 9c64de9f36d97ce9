// A subcommand: one file src/cli/<name>.cpp that ends in one `const Command <name>_command{...}`, declared
// here and listed in main.cpp.
#pragma once

#include "cli/args.h"

namespace coterie::cli {

struct Command {
  const char* name;  // "inspect"; of two words, "dump logits", where commands form a group
  const char* summary;
  int (*function)(Args& args);  // returns the exit code; errors are exceptions (base/errors.h)
  const char* examples = "";    // one per line, without indentation: printed first by --help
};

extern const Command chat_command, convert_command, doctor_command, dump_logits_command, dump_prompt_command,
    dump_routes_command, dump_tensor_command, dump_text_command, dump_tokens_command, eval_command,
    inspect_command, quantize_command, run_command, verify_command, synth_command, version_command;

}  // namespace coterie::cli
