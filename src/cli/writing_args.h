// What convert and quantize share: options about the files they write, how their work is stopped and goes on, and the
// last lines of a dry run.
#pragma once

#include "cli/args.h"
#include "cli/terminal.h"
#include "gguf/journal.h"
#include "gguf/writer.h"

#include <cstdint>
#include <optional>
#include <string>

namespace coterie::cli {

struct WritingArgs {
  std::optional<std::string> split;
  bool dry_run, json, restart;
  std::string sync_every;
  int threads;  // 0: one per CPU
};

WritingArgs writing_args(Args& args);

// Both throw UsageError for what is no size.
std::uint64_t split_bytes(const WritingArgs& a);  // 0: no split
// verifying shows how much of what is there has been checked; Ctrl-C stops that too.
gguf::JournalOptions journal_options(const WritingArgs& a, Progress& verifying);

// The paths, and how much there is.
void print_sizes(const gguf::Writer& file, std::int64_t weights);

}  // namespace coterie::cli
