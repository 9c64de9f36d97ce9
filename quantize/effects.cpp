#include "quantize/effects.h"

#include "base/errors.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <map>
#include <string_view>

namespace coterie::quantize {

namespace {

std::string_view trimmed(std::string_view s) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!s.empty() && blank(s.front())) s.remove_prefix(1);
  while (!s.empty() && blank(s.back())) s.remove_suffix(1);
  return s;
}

std::map<std::string_view, double> parse_lines(std::string_view text, const std::string& subject) {
  std::map<std::string_view, double> named;
  for (int number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    const std::string_view line = trimmed(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (line.empty() || line[0] == '#') continue;
    const std::size_t at = line.rfind('=');
    const std::string_view value = at == std::string_view::npos ? line : trimmed(line.substr(at + 1));
    double effect = -1;
    const auto [rest, error] = std::from_chars(value.data(), value.data() + value.size(), effect);
    if (at == std::string_view::npos || error != std::errc() || rest != value.data() + value.size() ||
        !std::isfinite(effect) || effect < 0)
      throw UsageError(subject + ": line " + std::to_string(number) + ": found '" + std::string(line) +
                       "', expected 'tensor = effect', a number of at least 0");
    named[trimmed(line.substr(0, at))] = effect;
  }
  return named;
}

}  // namespace

std::string text_of(std::span<const FitTensor> tensors, std::span<const double> effects) {
  std::string text = "# KL divergence that relative noise in a tensor causes, per unit of noise\n";
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    char number[32];
    std::snprintf(number, sizeof number, " = %.6g\n", effects[i]);
    if (!tensors[i].fixed) text += tensors[i].name + number;
  }
  return text;
}

std::vector<double> parse_effects(std::string_view text, std::span<const FitTensor> tensors,
                                  const std::string& subject) {
  const std::map<std::string_view, double> named = parse_lines(text, subject);
  std::vector<double> effects = default_effects(tensors);
  double logs = 0;
  int n = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i)
    if (const auto found = named.find(tensors[i].name); found != named.end() && found->second > 0) {
      logs += std::log(found->second / effects[i]);
      ++n;
    }
  if (n == 0) throw UsageError(subject + ": names no tensor of this model, expected lines 'tensor = effect'");
  const double scale = std::exp(logs / n);  // from defaults to what was measured
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const auto found = named.find(tensors[i].name);
    effects[i] = found != named.end() ? found->second : effects[i] * scale;
  }
  return effects;
}

}  // namespace coterie::quantize
