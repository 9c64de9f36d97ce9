// Filters that make text or numbers of one value.
#include "text/template/functions.h"
#include "text/template/json.h"
#include "text/template/marked_ops.h"

#include <charconv>
#include <cmath>

namespace coterie::text::jinja {

Value join(Runtime& rt, const List& parts, const Marked& separator, bool only_strings) {
  Marked result;
  for (std::size_t i = 0; i < parts.items.size(); ++i) {
    rt.step();
    if (only_strings && !as_text(parts.items[i]))
      rt.fail("join takes strings only, not " + type_name(parts.items[i]));
    if (i > 0) append(result, separator);
    append(result, *to_text(rt, parts.items[i]));
    rt.check_length(result.text.size());
  }
  return rt.text(std::move(result));
}

Value replace(Runtime& rt, const Marked& s, const Marked& old, const Marked& fresh, std::int64_t limit) {
  rt.work(s.text.size());
  limit = std::max<std::int64_t>(limit, -1);
  Marked result;
  std::size_t begin = 0;
  for (; limit != 0; --limit) {
    std::size_t at = find_text(s.text, old.text, begin);
    // An empty pattern matches before every character and at the end.
    if (old.text.empty() && begin > 0) at = begin > s.text.size() ? std::string::npos : begin;
    if (at == std::string::npos) break;
    if (!old.text.empty()) append(result, s, begin, at);
    append(result, fresh);
    begin = at + old.text.size();
    if (old.text.empty()) {
      if (at == s.text.size()) break;
      begin = at + code_point(s.text, at).bytes;
      append(result, s, at, begin);
    }
    rt.check_length(result.text.size());
  }
  if (begin < s.text.size()) append(result, s, begin, s.text.size());
  return rt.text(std::move(result));
}

namespace {

Value change_case(Runtime& rt, const Value& self, Case how) {
  return rt.text(change_case(*to_text(rt, self), how));
}

Value trim(Runtime& rt, const Value& self, const Args& args) {
  const Text text = to_text(rt, self);
  if (!args.has(0) || is_none(args[0])) return rt.text(strip(*text, Side::both, nullptr));
  const std::string_view set = text_argument(rt, args[0]).text;
  return rt.text(strip(*text, Side::both, &set));
}

Value filter_replace(Runtime& rt, const Value& self, const Args& args) {
  const bool all = !args.has(2) || is_none(args[2]);
  return replace(rt, *to_text(rt, self), *to_text(rt, args[0]), *to_text(rt, args[1]),
                 all ? -1 : int_argument(rt, args[2], -1));
}

// Spaces for a number, the text itself for a text.
Marked indentation(Runtime& rt, const Value& v, std::int64_t absent) {
  if (const Marked* s = as_text(v)) return *s;
  const auto n = static_cast<std::uint64_t>(std::max<std::int64_t>(int_argument(rt, v, absent), 0));
  rt.check_length(n);
  return own(std::string(n, ' '));
}

Value indent(Runtime& rt, const Value& self, const Args& args) {
  const Marked indentation_text = indentation(rt, args[0], 4);
  const bool first = truth(args[1]), blank = truth(args[2]);
  Marked text = text_argument(rt, self), result;
  append(text, "\n");  // so that a line end at the end makes one more, empty line
  bool is_first = true;
  split_lines(text, false, [&](Marked line) {
    if (!is_first) append(result, "\n");
    if (is_first ? first : blank || !line.text.empty()) append(result, indentation_text);
    append(result, line);
    rt.check_length(result.text.size());
    is_first = false;
  });
  return rt.text(std::move(result));
}

// json.dumps(v, ensure_ascii, indent, separators, sort_keys), ensure_ascii being off unless asked for.
Value tojson(Runtime& rt, const Value& self, const Args& args) {
  JsonStyle style;
  style.ensure_ascii = truth(args[0]);
  if (args.has(1) && !is_none(args[1])) style.indent = indentation(rt, args[1], 0);
  style.item_separator = own(style.indent ? "," : ", ");
  style.key_separator = own(": ");
  if (args.has(2) && !is_none(args[2])) {
    const List* pair = as_sequence(args[2]);
    if (!pair || pair->items.size() != 2) rt.fail("tojson: separators must be a pair of strings");
    style.item_separator = text_argument(rt, pair->items[0]);
    style.key_separator = text_argument(rt, pair->items[1]);
  }
  style.sort_keys = truth(args[3]);
  Marked result;
  write_json(rt, self, style, result);
  return rt.text(std::move(result));
}

// The digits of a number as Python takes them: space around, a sign, single underscores between digits.
std::string number_literal(const Marked& text) {
  const std::string stripped = strip(text, Side::both, nullptr).text;
  std::string digits;
  for (std::size_t i = 0; i < stripped.size(); ++i) {
    const bool between = stripped[i] == '_' && i > 0 && i + 1 < stripped.size() && stripped[i - 1] != '_';
    if (!between && !(stripped[i] == '+' && i == 0 && stripped.size() > 1 && stripped[1] != '-'))
      digits += stripped[i];
  }
  return digits;
}

std::optional<double> parse_float(const Marked& text) {
  const std::string digits = number_literal(text);
  double value = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || read.ptr != digits.data() + digits.size()) return std::nullopt;
  if (read.ec == std::errc::result_out_of_range) return std::strtod(digits.c_str(), nullptr);
  return read.ec == std::errc() ? std::optional(value) : std::nullopt;
}

Value float_to_int(Runtime& rt, double d, const Value& absent) {
  if (std::isnan(d)) return absent;
  if (std::abs(d) >= 9.2e18) rt.fail("an integer does not fit 64 bits");
  return static_cast<std::int64_t>(d);
}

Value to_int(Runtime& rt, const Value& self, const Args& args) {
  const Value absent = args.has(0) ? args[0] : Value(std::int64_t{0});
  const auto base = static_cast<int>(std::clamp<std::int64_t>(int_argument(rt, args[1], 10), 2, 36));
  if (is_undefined(self)) rt.fail("an undefined value is no int");
  if (as_int(self)) return *as_int(self);
  if (as_number(self)) return float_to_int(rt, *as_number(self), absent);
  const Marked* s = as_text(self);
  if (!s) return absent;
  std::string digits = number_literal(*s);
  const bool negative = !digits.empty() && digits[0] == '-';
  const std::size_t sign = negative ? 1 : 0;
  const char mark = base == 16 ? 'x' : base == 8 ? 'o' : 'b';
  if (base != 10 && digits.size() > sign + 2 && digits[sign] == '0' && (digits[sign + 1] | 0x20) == mark)
    digits.erase(sign, 2);
  std::int64_t value = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (read.ec == std::errc::result_out_of_range) rt.fail("an integer does not fit 64 bits");
  if (!digits.empty() && read.ec == std::errc() && read.ptr == digits.data() + digits.size()) return value;
  const auto number = parse_float(*s);  // "42.23" is 42
  return number ? float_to_int(rt, *number, absent) : absent;
}

Value to_float(Runtime& rt, const Value& self, const Args& args) {
  if (is_undefined(self)) rt.fail("an undefined value is no float");
  if (as_number(self)) return *as_number(self);
  const auto number = as_text(self) ? parse_float(*as_text(self)) : std::nullopt;
  if (number) return *number;
  return args.has(0) ? args[0] : Value(0.0);
}

Value absolute(Runtime& rt, const Value& self, const Args&) {
  if (as_int(self) && *as_int(self) != INT64_MIN) return std::abs(*as_int(self));
  if (!as_number(self)) rt.fail("abs needs a number, not a " + type_name(self));
  return std::abs(*as_number(self));
}

// Half to even at the decimal digits of the exact value, as Python's round(); for "ceil" and "floor" as math
// does.
Value round(Runtime& rt, const Value& self, const Args& args) {
  const auto precision = static_cast<int>(std::clamp<std::int64_t>(int_argument(rt, args[0], 0), -300, 300));
  const std::string method = args.has(1) ? text_argument(rt, args[1]).text : "common";
  if (!as_number(self)) rt.fail("round needs a number, not a " + type_name(self));
  const double value = *as_number(self), scale = std::pow(10.0, precision);
  if (method == "ceil") return std::ceil(value * scale) / scale;
  if (method == "floor") return std::floor(value * scale) / scale;
  if (method != "common") rt.fail("round knows the methods common, ceil and floor");
  if (as_int(self) && precision >= 0) return *as_int(self);
  if (precision < 0 || !std::isfinite(value)) {
    const double rounded = std::nearbyint(value * scale) / scale;
    return as_int(self) ? float_to_int(rt, rounded, Undefined{}) : Value(rounded);
  }
  char digits[700];  // 309 digits before the point, 300 after it
  std::snprintf(digits, sizeof digits, "%.*f", precision, value);
  return std::strtod(digits, nullptr);
}

Value filter_format(Runtime& rt, const Value& self, const Args& args) {
  List& values = rt.list(ListKind::tuple);
  for (const Value& v : args.values) rt.push(values, v);
  return format_percent(rt, *to_text(rt, self), &values);
}

Value filter_default(Runtime& rt, const Value& self, const Args& args) {
  const bool absent = is_undefined(self) || (truth(args[1]) && !truth(self));
  if (!absent) return self;
  return args.values.empty() || is_undefined(args[0]) ? Value(rt.text("")) : args[0];
}

Value escape(Runtime& rt, const Value& self, const Args&) {
  static constexpr std::string_view special = "&<>'\"";
  static constexpr std::string_view names[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
  const Text text = to_text(rt, self);
  Marked result;
  for (std::size_t at = 0; at < text->text.size(); ++at) {
    const std::size_t which = special.find(text->text[at]);
    if (which == std::string_view::npos)
      append(result, *text, at, at + 1);
    else
      append_as(result, names[which], *text, at, at + 1);
  }
  return rt.text(std::move(result));
}

Value identity(Runtime&, const Value& self, const Args&) { return self; }
Value string(Runtime& rt, const Value& self, const Args&) { return to_text(rt, self); }
Value upper(Runtime& rt, const Value& self, const Args&) { return change_case(rt, self, Case::upper); }
Value lower(Runtime& rt, const Value& self, const Args&) { return change_case(rt, self, Case::lower); }
Value capitalize(Runtime& rt, const Value& self, const Args&) {
  return change_case(rt, self, Case::capitalize);
}
Value title(Runtime& rt, const Value& self, const Args&) { return change_case(rt, self, Case::words); }

constexpr Function table[] = {
    {"abs", "", absolute},
    {"capitalize", "", capitalize},
    {"d", "default_value boolean", filter_default},
    {"default", "default_value boolean", filter_default},
    {"e", "", escape},
    {"escape", "", escape},
    {"float", "default", to_float},
    {"format", "*", filter_format},
    {"indent", "width first blank", indent},
    {"int", "default base", to_int},
    {"lower", "", lower},
    {"replace", "old new count", filter_replace},
    {"round", "precision method", round},
    {"safe", "", identity},  // nothing is escaped here, so nothing has to be protected from it
    {"string", "", string},
    {"title", "", title},
    {"tojson", "ensure_ascii indent separators sort_keys", tojson},
    {"trim", "chars", trim},
    {"upper", "", upper},
};

}  // namespace

std::span<const Function> text_filters() { return table; }

}  // namespace coterie::text::jinja
