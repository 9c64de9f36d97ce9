// How a reply is sampled and where it ends, as options of the command line (run) and as settings by name
// (chat's /set): one table serves both.
#pragma once

#include "cli/args.h"
#include "engine/generate.h"

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace coterie::cli {

struct Setting {
  const char* name;   // "temp": the option is --temp
  const char* names;  // as Args wants it: "--temp T"
  const char* help;
  Bounds<double> allowed;
  bool whole;  // only integers
  void (*set)(GenerateOptions& options, double value);
  double (*get)(const GenerateOptions& options);
};
std::span<const Setting> settings();
const Setting* find_setting(const std::string& name);  // nullptr: unknown
// Throws UsageError naming the source, "--temp" or "/set temp".
void apply_setting(const Setting& setting, double value, const std::string& source, GenerateOptions* options);

// What the user gave; the rest comes from the model's file, else from DeepSeek's recommendation.
class SamplingArgs {
 public:
  explicit SamplingArgs(Args& args);  // declares the options
  GenerateOptions resolve(const Engine& engine) const;

 private:
  std::vector<std::pair<const Setting*, double>> given_;
  std::vector<std::pair<Token, float>> logit_bias_;
  std::vector<std::string> stop_;
};

// --think: none for auto.
std::optional<bool> think_option(Args& args);

}  // namespace coterie::cli
