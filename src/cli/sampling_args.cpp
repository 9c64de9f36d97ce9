#include "cli/sampling_args.h"

#include "base/errors.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace coterie::cli {

namespace {

constexpr double largest_integer = 0x1p53;  // up to here a double holds every integer

template <auto member>
void set_sampling(GenerateOptions& o, double value) {
  using T = std::remove_reference_t<decltype(o.sampling.*member)>;
  o.sampling.*member = static_cast<T>(value);
}
template <auto member>
double get_sampling(const GenerateOptions& o) {
  return static_cast<double>(o.sampling.*member);
}

using S = SamplingOptions;
const std::array table{
    Setting{"max-tokens",
            "-n,--max-tokens N",
            "tokens of the reply at most; 0: as the context has room [0]",
            {0, 1 << 30},
            true,
            [](GenerateOptions& o, double v) { o.max_tokens = static_cast<std::int64_t>(v); },
            [](const GenerateOptions& o) { return static_cast<double>(o.max_tokens); }},
    Setting{"temp",
            "--temp T",
            "temperature; 0: always the likeliest token [the file's, else 0.6]",
            {0, 100},
            false,
            set_sampling<&S::temperature>,
            get_sampling<&S::temperature>},
    Setting{"top-p",
            "--top-p P",
            "the likeliest tokens that reach this share; 1: all [the file's, else 0.95]",
            {0, 1},
            false,
            set_sampling<&S::top_p>,
            get_sampling<&S::top_p>},
    Setting{"top-k",
            "--top-k K",
            "the K likeliest tokens; 0: all [the file's, else 0]",
            {0, 1 << 30},
            true,
            set_sampling<&S::top_k>,
            get_sampling<&S::top_k>},
    Setting{"min-p",
            "--min-p P",
            "tokens at least P times as likely as the best; 0: all [0]",
            {0, 1},
            false,
            set_sampling<&S::min_p>,
            get_sampling<&S::min_p>},
    Setting{"repeat-penalty",
            "--repeat-penalty R",
            "divides the logits of recent tokens; 1: none [1]",
            {0.01, 100},
            false,
            set_sampling<&S::repetition_penalty>,
            get_sampling<&S::repetition_penalty>},
    Setting{"presence-penalty",
            "--presence-penalty P",
            "subtracted once from logits of recent tokens [0]",
            {-100, 100},
            false,
            set_sampling<&S::presence_penalty>,
            get_sampling<&S::presence_penalty>},
    Setting{"frequency-penalty",
            "--frequency-penalty P",
            "subtracted for each occurrence [0]",
            {-100, 100},
            false,
            set_sampling<&S::frequency_penalty>,
            get_sampling<&S::frequency_penalty>},
    Setting{"penalty-window",
            "--penalty-window N",
            "how many tokens are recent [64]",
            {0, 1 << 30},
            true,
            set_sampling<&S::penalty_window>,
            get_sampling<&S::penalty_window>},
    Setting{"seed",
            "--seed N",
            "same seed, same reply [0]",
            {0, largest_integer},
            true,
            set_sampling<&S::seed>,
            get_sampling<&S::seed>},
};

std::pair<Token, float> parse_bias(const std::string& text) {  // "ID=BIAS"
  std::pair<Token, float> bias{};
  const char* const end = text.data() + text.size();
  const auto id = std::from_chars(text.data(), end, bias.first);
  const bool separated = id.ec == std::errc() && id.ptr != end && *id.ptr == '=';
  const auto value = std::from_chars(separated ? id.ptr + 1 : end, end, bias.second);
  if (value.ec != std::errc() || value.ptr != end || !(std::abs(bias.second) <= 1000))
    throw UsageError("--logit-bias: found '" + text + "', expected ID=BIAS, a number from -1000 to 1000");
  return bias;
}

std::string short_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.16g", value);
  return text;
}

}  // namespace

std::span<const Setting> settings() { return table; }

const Setting* find_setting(const std::string& name) {
  for (const Setting& s : table)
    if (name == s.name) return &s;
  return nullptr;
}

void apply_setting(const Setting& setting, double value, const std::string& source,
                   GenerateOptions* options) {
  const bool fits = value >= setting.allowed.low && value <= setting.allowed.high;
  if (!fits || (setting.whole && value != std::floor(value)))
    throw UsageError(source + ": found " + short_text(value) + ", expected " +
                     (setting.whole ? "an integer" : "a number") + " from " +
                     short_text(setting.allowed.low) + " to " + short_text(setting.allowed.high));
  setting.set(*options, value);
}

SamplingArgs::SamplingArgs(Args& args) {
  GenerateOptions trial;
  for (const Setting& s : table)
    if (const std::optional<double> value = args.maybe_number(s.names, s.allowed, s.help)) {
      apply_setting(s, *value, std::string("--") + s.name, &trial);
      given_.emplace_back(&s, *value);
    }
  for (const std::string& text :
       args.list("--logit-bias ID=BIAS", "added to a token's logit; may be given again"))
    logit_bias_.push_back(parse_bias(text));
  stop_ = args.list("--stop TEXT", "end the reply before this text; may be given again");
  for (const std::string& text : stop_)
    if (text.empty()) throw UsageError("--stop: found an empty text");
}

GenerateOptions SamplingArgs::resolve(const Engine& engine) const {
  GenerateOptions options;
  options.sampling = recommended(engine.sampling_hints());
  for (const auto& [id, bias] : logit_bias_)
    if (id < 0 || id >= engine.n_vocab())
      throw UsageError("--logit-bias: found id " + std::to_string(id) + ", expected one below " +
                       std::to_string(engine.n_vocab()));
  options.sampling.logit_bias = logit_bias_;
  options.stop = stop_;
  for (const auto& [setting, value] : given_) setting->set(options, value);
  return options;
}

std::optional<bool> think_option(Args& args) {
  const std::string think = args.choice("--think WHEN", {"auto", "on", "off"}, "reason before answering");
  if (think == "auto") return std::nullopt;
  return think == "on";
}

}  // namespace coterie::cli
