// coterie convert HF_DIR OUT.gguf [--type TYPE] [--mtp separate|none] [--threads N]
#include "convert/convert.h"
#include "base/errors.h"
#include "cli/command.h"
#include "cli/files.h"
#include "cli/terminal.h"

#include <cstdio>

namespace coterie::cli {

static int convert_folder(Args& args) {
  convert::ConvertOptions options;
  options.from = args.positional("HF_DIR", "folder with config.json, tokenizer.json and .safetensors files");
  options.to = args.positional("OUT", "the GGUF file to write");
  const std::string type = args.choice("--type TYPE", {"BF16", "F16", "F32", "Q8_0"}, "of the matrices");
  const std::string mtp = args.choice("--mtp WHERE", {"separate", "none"},
                                      "multi-token-prediction layers: to OUT.mtp.gguf, or nowhere");
  options.threads = static_cast<int>(args.integer("--threads N", 0, {0, 1024}, "0: one per CPU"));
  args.finish();

  options.type = convert::find_file_type(type);
  options.mtp = mtp == "none" ? convert::Mtp::none : convert::Mtp::separate;
  const std::string beside = convert::mtp_path(options.to);
  bool wrote_mtp = false;
  {
    const Interrupt interrupt;
    Progress progress;
    options.progress = interruptible(progress, "converting");
    options.note = [&](const std::string& line) {
      progress.clear();
      std::fprintf(stderr, "note: %s\n", printable(line).c_str());
    };
    wrote_mtp = convert::convert(options);
  }
  report_written(options.to);
  if (wrote_mtp) report_written(beside);
  return 0;
}

const Command convert_command{"convert", "make a GGUF file of a Hugging Face folder (safetensors)",
                              convert_folder,
                              "coterie convert DeepSeek-R1 r1.gguf --type Q8_0\n"
                              "coterie convert DeepSeek-V2-Lite v2-lite.gguf --mtp none"};

}  // namespace coterie::cli
