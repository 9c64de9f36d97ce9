// coterie synth --shape NAME|FILE.json [--layers DENSE+MOE] [--type TYPE] OUT.gguf
#include "bench/synth.h"

#include "base/errors.h"
#include "cli/command.h"
#include "cli/files.h"
#include "cli/terminal.h"

#include <cstdio>
#include <string>

namespace coterie::cli {

namespace {

// "1+2": one dense and two mixture-of-experts layers.
void set_layers(const std::string& text, convert::HfConfig* shape) {
  int dense = -1;
  int moe = -1;
  int end = 0;
  const bool read = std::sscanf(text.c_str(), "%4d+%4d%n", &dense, &moe, &end) == 2;
  if (!read || end != static_cast<int>(text.size()) || dense < 0 || moe < 0 || dense + moe < 1 ||
      dense + moe > 1024)
    throw UsageError("--layers: found " + printable(text) +
                     ", expected DENSE+MOE, as in 1+2, at most 1024 together");
  shape->dense_layers = dense;
  shape->layers = dense + moe;
}

int synth(Args& args) {
  bench::SynthOptions options;
  options.to = args.positional("OUT", "the GGUF file to write");
  const std::string shape = args.option("--shape NAME", "deepseek-r1",
                                        "deepseek-r1, deepseek-v2-lite, kimi-k2, or a file like config.json");
  const auto layers =
      args.maybe("--layers D+M", "dense and mixture-of-experts layers; left out: as the release has");
  const std::string type = args.option("--type TYPE", "Q4_K", "of the routed experts");
  options.seed =
      static_cast<std::uint64_t>(args.integer("--seed N", 1, {0, 1LL << 62}, "same seed, same bytes"));
  args.finish();

  options.shape = bench::find_shape(shape);
  if (layers) set_layers(*layers, &options.shape);
  options.type = find_format(type);
  if (options.type == nullptr) throw UsageError("--type: unknown type " + printable(type));
  {
    const Interrupt interrupt;
    Progress progress;
    options.progress = interruptible(progress, "writing");
    bench::synthesize(options);
  }
  report_written(options.to);
  return 0;
}

}  // namespace

const Command synth_command{"synth", "make a model of true shapes and random weights, to measure speed with",
                            synth,
                            "coterie synth --shape deepseek-r1 --layers 1+1 --type Q4_K slice.gguf\n"
                            "coterie synth --shape deepseek-v2-lite --type Q8_0 lite.gguf"};

}  // namespace coterie::cli
