#include "cli/shape_args.h"

#include "base/errors.h"
#include "cli/terminal.h"

#include <cstdio>

namespace coterie::cli {

// "1+2": one dense and two mixture-of-experts layers.
static void set_layers(const std::string& text, convert::HfConfig* shape) {
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

ShapeArgs::ShapeArgs(Args& args, const std::string& fallback)
    : shape_(args.option("--shape NAME", fallback,
                         "deepseek-r1, deepseek-v2-lite, kimi-k2, or a file like config.json")),
      type_(args.option("--type TYPE", "Q4_K", "of the routed experts")),
      layers_(
          args.maybe("--layers D+M", "dense and mixture-of-experts layers; left out: as the release has")),
      seed_(
          static_cast<std::uint64_t>(args.integer("--seed N", 1, {0, 1LL << 62}, "same seed, same bytes"))) {}

bench::SynthOptions ShapeArgs::resolve() const {
  bench::SynthOptions options{.shape = bench::find_shape(shape_),
                              .type = find_format(type_),
                              .seed = seed_,
                              .to = {},
                              .progress = {}};
  if (layers_) set_layers(*layers_, &options.shape);
  if (options.type == nullptr) throw UsageError("--type: unknown type " + printable(type_));
  return options;
}

std::string ShapeArgs::name() const { return shape_ + (layers_ ? " " + *layers_ : "") + " " + type_; }

}  // namespace coterie::cli
