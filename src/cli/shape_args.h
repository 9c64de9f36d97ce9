// The options of what makes a model of random weights: synth, and bench without a file.
#pragma once

#include "bench/synth.h"
#include "cli/args.h"

#include <optional>
#include <string>

namespace coterie::cli {

class ShapeArgs {
 public:
  ShapeArgs(Args& args, const std::string& fallback);  // declares --shape, --layers, --type, --seed
  bool given() const { return !shape_.empty(); }
  bench::SynthOptions resolve() const;  // throws UsageError, FileError, ModelError
  std::string name() const;             // "deepseek-r1 1+1 Q4_K"

 private:
  std::string shape_, type_;
  std::optional<std::string> layers_;
  std::uint64_t seed_;
};

}  // namespace coterie::cli
