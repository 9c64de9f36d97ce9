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

extern const Command bench_command;
extern const Command bench_encoders_command;
extern const Command bench_kernels_command;
extern const Command calibrate_command;
extern const Command chat_command;
extern const Command convert_command;
extern const Command doctor_command;
extern const Command dump_logits_command;
extern const Command dump_prompt_command;
extern const Command dump_routes_command;
extern const Command dump_tensor_command;
extern const Command dump_text_command;
extern const Command dump_tokens_command;
extern const Command eval_command;
extern const Command inspect_command;
extern const Command quantize_command;
extern const Command run_command;
extern const Command synth_command;
extern const Command verify_command;
extern const Command version_command;

}  // namespace coterie::cli
