#include "cli/writing_args.h"

#include "cli/files.h"

#include <algorithm>
#include <cstdio>

namespace coterie::cli {

WritingArgs writing_args(Args& args) {
  WritingArgs a;
  a.split = args.maybe("--split SIZE", "most bytes per file, as in 48G: OUT-00001-of-00009.gguf and so on");
  a.dry_run = args.flag("--dry-run", "print every tensor's type and size, write nothing");
  a.json = args.flag("--json", "print the dry run as one JSON object");
  a.restart = args.flag("--restart", "begin anew, whatever a stopped run has left");
  a.sync_every = args.option("--sync-every SIZE", "256MiB", "most data that a crash may cost");
  a.threads = static_cast<int>(args.integer("--threads N", 0, {0, 1024}, "0: one per CPU"));
  return a;
}

std::uint64_t split_bytes(const WritingArgs& a) {
  return a.split ? std::max<std::uint64_t>(1, parse_size("--split", *a.split)) : 0;
}

gguf::JournalOptions journal_options(const WritingArgs& a, Progress& verifying) {
  return {
      .restart = a.restart,
      .batch_bytes = parse_size("--sync-every", a.sync_every),
      .verifying = interruptible(verifying, "checking what is there",
                                 "interrupted; what is done is kept, the same command goes on from there")};
}

void print_sizes(const gguf::Writer& file, std::int64_t weights) {
  for (const std::string& path : file.paths()) std::printf("%s\n", printable(path).c_str());
  const std::uint64_t bytes = file.file_bytes();
  std::printf(
      "  %d tensors, %llu bytes (%s), %.3f bits per weight\n", file.tensor_count(),
      static_cast<unsigned long long>(bytes), human_bytes(bytes).c_str(),
      static_cast<double>(file.data_bytes()) * 8 / static_cast<double>(std::max<std::int64_t>(1, weights)));
}

}  // namespace coterie::cli
