// --fit SIZE and --bits N: the formats that make the best file within a budget.
#pragma once

#include "cli/args.h"
#include "convert/convert.h"
#include "gguf/reader.h"
#include "quantize/imatrix.h"
#include "quantize/recipe.h"

#include <optional>
#include <string>

namespace coterie::cli {

struct FitArgs {
  std::optional<std::string> size, bits;  // one of the two: wanted
  std::optional<std::string> text;        // what the tensors' effects are measured with
  std::optional<std::string> effects;     // where they are kept: written after measuring, else read
  std::optional<std::string> recipe;      // where to write what was chosen
  bool explain = false;

  bool wanted() const { return size || bits; }
};

FitArgs fit_args(Args& args);

// What the file is chosen for, and named: the picture of --explain is TO.svg.
struct FitFile {
  gguf::Reader& file;
  std::string to;
  const quantize::ImportanceMatrix* importance;
  int threads;  // 0: one per CPU
};

// The recipe that fits the file into the budget; also writes what else was asked for.
quantize::Recipe fit_recipe(const FitFile& what, const FitArgs& args);

// The same for a checkpoint: `plain` is its conversion without a budget, which need not run.
struct FitConversion {
  std::uint64_t input_bytes;  // what 0.75x counts from
  const quantize::ImportanceMatrix* importance;
  int threads;  // 0: one per CPU
};
quantize::Recipe fit_recipe(const convert::Conversion& plain, const FitConversion& what, const FitArgs& args);

}  // namespace coterie::cli
