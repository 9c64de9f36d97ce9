#include "quantize/recipe.h"

#include "base/errors.h"
#include "base/json.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace coterie::quantize {

namespace {

constexpr std::uint64_t most_bytes = 16 << 20;
constexpr std::size_t longest_pattern = 1024;

// All of the text as a number without a sign.
std::optional<int> number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || text[0] == '-' || error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

struct Range {
  int low, high;
};

std::optional<Range> range(std::string_view word) {  // "3-60"
  const std::size_t dash = word.find('-');
  if (dash == std::string_view::npos) return {};
  const std::optional<int> low = number(word.substr(0, dash)), high = number(word.substr(dash + 1));
  if (!low || !high) return {};
  return Range{*low, *high};
}

// Which beginnings of a name a beginning of the pattern matches: [i] stands for its first i characters. Every
// piece of the pattern moves the whole set on, so that no pattern costs more than its length times the name's.
using Reached = std::vector<bool>;

Reached after_star(const Reached& from) {
  Reached to(from.size(), true);
  for (std::size_t i = 0; i < from.size() && !from[i]; ++i) to[i] = false;
  return to;
}

Reached after_character(const Reached& from, char wanted, std::string_view name) {
  Reached to(from.size(), false);
  for (std::size_t i = 0; i < name.size(); ++i) to[i + 1] = from[i] && (wanted == '?' || wanted == name[i]);
  return to;
}

// How many characters at the front of the text are the word; nullopt: none are.
std::optional<std::size_t> length_of(std::string_view word, std::string_view text) {
  const std::optional<Range> numbers = range(word);
  if (!numbers) return text.starts_with(word) ? std::optional(word.size()) : std::nullopt;
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const std::optional<int> value = number(text.substr(0, digits));
  return value && *value >= numbers->low && *value <= numbers->high ? std::optional(digits) : std::nullopt;
}

Reached after_braces(const Reached& from, std::string_view words, std::string_view name) {
  Reached to(from.size(), false);
  for (;;) {
    const std::size_t comma = words.find(',');
    for (std::size_t i = 0; i < from.size(); ++i)
      if (const auto n = from[i] ? length_of(words.substr(0, comma), name.substr(i)) : std::nullopt)
        to[i + *n] = true;
    if (comma == std::string_view::npos) return to;
    words.remove_prefix(comma + 1);
  }
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view blank = " \t\r";
  const std::size_t first = text.find_first_not_of(blank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

// Why a pattern is refused; empty: it is sound.
std::string fault_of(std::string_view pattern) {
  if (pattern.empty()) return "no pattern before the =";
  if (pattern.size() > longest_pattern)
    return "a pattern of " + std::to_string(pattern.size()) + " bytes, at most " +
           std::to_string(longest_pattern);
  bool open = false;
  for (const char c : pattern) {
    if (c == '{' ? open : c == '}' && !open) return "braces that do not pair";
    open = c == '{' || (open && c != '}');
  }
  return open ? "braces that do not pair" : "";
}

Recipe::Line parse_line(std::string_view line, const std::string& where) {
  const std::size_t equals = line.rfind('=');
  if (equals == std::string_view::npos)
    throw UsageError(where + ": found '" + std::string(line) + "', expected PATTERN = TYPE");
  const std::string_view pattern = trim(line.substr(0, equals)), type = trim(line.substr(equals + 1));
  if (const std::string fault = fault_of(pattern); !fault.empty()) throw UsageError(where + ": " + fault);
  const FormatInfo* format = find_format(type);
  if (format == nullptr || format->index < 0)
    throw UsageError(where + ": unknown type '" + std::string(type) + "'");
  return {std::string(pattern), format};
}

}  // namespace

bool matches(std::string_view pattern, std::string_view name) {
  Reached reached(name.size() + 1, false);
  reached[0] = true;
  while (!pattern.empty()) {
    std::size_t used = 1;
    if (pattern[0] == '*') {
      reached = after_star(reached);
    } else if (const std::size_t close = pattern.find('}'); pattern[0] == '{' && close < pattern.size()) {
      reached = after_braces(reached, pattern.substr(1, close - 1), name);
      used = close + 1;
    } else {
      reached = after_character(reached, pattern[0], name);
    }
    pattern.remove_prefix(used);
  }
  return reached.back();
}

Recipe parse_recipe(std::string_view text, const std::string& subject) {
  Recipe recipe;
  for (int number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    line = trim(line.substr(0, line.find('#')));
    if (!line.empty()) recipe.lines.push_back(parse_line(line, subject + ": line " + std::to_string(number)));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (recipe.lines.empty()) throw UsageError(subject + ": no line, expected PATTERN = TYPE");
  return recipe;
}

Recipe read_recipe(const std::string& path) { return parse_recipe(read_text(path, most_bytes), path); }

std::string text_of(const Recipe& recipe) {
  std::string text;
  for (const Recipe::Line& line : recipe.lines) text += line.pattern + " = " + line.format->name + "\n";
  return text;
}

const FormatInfo* look_up(const Recipe& recipe, std::string_view name) {
  for (const Recipe::Line& line : recipe.lines)
    if (matches(line.pattern, name)) return line.format;
  return nullptr;
}

}  // namespace coterie::quantize
