// coterie synth --shape NAME|FILE.json [--layers DENSE+MOE] [--type TYPE] OUT.gguf
#include "cli/command.h"
#include "cli/files.h"
#include "cli/shape_args.h"
#include "cli/terminal.h"

#include <string>

namespace coterie::cli {

static int synth(Args& args) {
  const std::string to = args.positional("OUT", "the GGUF file to write");
  const ShapeArgs shape(args, "deepseek-r1");
  args.finish();

  bench::SynthOptions options = shape.resolve();
  options.to = to;
  {
    const Interrupt interrupt;
    Progress progress;
    options.progress = interruptible(progress, "writing");
    bench::synthesize(options);
  }
  report_written(options.to);
  return 0;
}

const Command synth_command{"synth", "make a model of true shapes and random weights, to measure speed with",
                            synth,
                            "coterie synth --shape deepseek-r1 --layers 1+1 --type Q4_K slice.gguf\n"
                            "coterie synth --shape deepseek-v2-lite --type Q8_0 lite.gguf"};

}  // namespace coterie::cli
