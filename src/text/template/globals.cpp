// Functions that stand for themselves, and the "%" operator of strings.
#include "text/template/functions.h"
#include "text/template/marked_ops.h"

#include <algorithm>
#include <cmath>
#include <ctime>

namespace coterie::text::jinja {

namespace {

Value range(Runtime& rt, const Value&, const Args& args) {
  constexpr std::uint64_t max_range = 100000;  // as the sandbox of Python's Jinja
  const std::size_t n_args = args.values.size();
  if (n_args < 1 || n_args > 3 || !args.keywords.empty()) rt.fail("range takes one to three integers");
  const std::int64_t start = n_args == 1 ? 0 : int_argument(rt, args[0], 0);
  const std::int64_t stop = int_argument(rt, args[n_args == 1 ? 0 : 1], 0),
                     step = int_argument(rt, args[2], 1);
  if (step == 0) rt.fail("range cannot have step 0");
  List& result = rt.list(ListKind::range);
  if (step > 0 ? start >= stop : start <= stop) return &result;
  const std::uint64_t low = static_cast<std::uint64_t>(std::min(start, stop));
  const std::uint64_t distance = static_cast<std::uint64_t>(std::max(start, stop)) - low;
  const std::uint64_t size =
      step > 0 ? static_cast<std::uint64_t>(step) : 0 - static_cast<std::uint64_t>(step);
  const std::uint64_t count = (distance - 1) / size + 1;
  if (count > max_range) rt.fail("range of more than " + std::to_string(max_range) + " numbers");
  for (std::uint64_t i = 0; i < count; ++i)
    rt.push(result, static_cast<std::int64_t>(static_cast<std::uint64_t>(start) +
                                              i * static_cast<std::uint64_t>(step)));
  return &result;
}

void fill(Runtime& rt, Dict& to, const Args& args) {
  if (args.n_positional() > 1) rt.fail("dict and namespace take one dict and named values");
  if (args.n_positional() == 1) {
    const auto* from = std::get_if<Dict*>(&args.values[0]);
    if (!from) rt.fail("dict and namespace need a dict, not a " + type_name(args.values[0]));
    for (const auto& [key, value] : (*from)->items) rt.put(to, key, value);
  }
  for (const std::string_view keyword : args.keywords) rt.put(to, rt.text(keyword), *args.named(keyword));
}

Value new_namespace(Runtime& rt, const Value&, const Args& args) {
  Namespace& ns = rt.new_namespace();
  fill(rt, ns.attributes, args);
  return &ns;
}

Value new_dict(Runtime& rt, const Value&, const Args& args) {
  Dict& dict = rt.dict();
  fill(rt, dict, args);
  return &dict;
}

Value raise_exception(Runtime& rt, const Value&, const Args& args) { rt.fail(to_text(rt, args[0])->text); }

Value strftime_now(Runtime& rt, const Value&, const Args& args) {
  const Marked& format = text_argument(rt, args[0]);
  constexpr std::size_t max_format = 256;
  if (format.text.size() > max_format) rt.fail("strftime_now: the format is too long");
  const std::time_t now = rt.limits().now.value_or(std::time(nullptr));
  std::tm local{};
  localtime_r(&now, &local);
  char buffer[64 * max_format];
  const std::size_t n = std::strftime(buffer, sizeof buffer, format.text.c_str(), &local);
  Marked result;
  append_as(result, std::string_view(buffer, n), format, 0, format.text.size());
  return rt.text(std::move(result));
}

constexpr Function table[] = {
    {"dict", "*", new_dict},
    {"namespace", "*", new_namespace},
    {"raise_exception", "message", raise_exception},
    {"range", "*", range},
    {"strftime_now", "format", strftime_now},
};

// ---- "%"

struct Directive {
  bool left = false, zeros = false;
  std::size_t width = 0;
  int precision = -1;
  char type = 0;
};

constexpr std::size_t max_width = 1000;

// Reads what follows a "%" and moves `at` behind it.
Directive directive(Runtime& rt, const std::string& s, std::size_t& at) {
  Directive d;
  const auto is_digit = [&] { return at < s.size() && s[at] >= '0' && s[at] <= '9'; };
  const auto read = [&] {
    std::size_t n = 0;
    for (; is_digit(); ++at) n = std::min(n * 10 + static_cast<std::size_t>(s[at] - '0'), max_width + 1);
    if (n > max_width) rt.fail("a format with a width above " + std::to_string(max_width));
    return n;
  };
  for (; at < s.size() && (s[at] == '-' || s[at] == '0'); ++at) (s[at] == '-' ? d.left : d.zeros) = true;
  d.width = read();
  if (at < s.size() && s[at] == '.') {
    ++at;
    d.precision = static_cast<int>(read());
  }
  d.type = at < s.size() ? s[at++] : '\0';
  return d;
}

Marked formatted(Runtime& rt, const Directive& d, const Value& v) {
  if (d.type == 's') {
    const Text text = to_text(rt, v);
    if (d.precision < 0) return *text;
    std::size_t end = 0;
    for (int i = 0; i < d.precision && end < text->text.size(); ++i) end += code_point(text->text, end).bytes;
    return slice(*text, 0, end);
  }
  if (d.type == 'r') {
    Marked result;
    write_repr(rt, v, result);
    return result;
  }
  const auto number = as_number(v);
  if (!number) rt.fail(std::string("%") + d.type + " needs a number, not a " + type_name(v));
  char buffer[1500];  // max_width digits and the 309 of the largest number
  if (d.type == 'f') {
    std::snprintf(buffer, sizeof buffer, "%.*f", d.precision < 0 ? 6 : d.precision, *number);
  } else if (d.type == 'd' || d.type == 'i') {
    if (!as_int(v) && !(std::abs(*number) < 9.2e18)) rt.fail("an integer does not fit 64 bits");
    std::snprintf(buffer, sizeof buffer, "%lld",
                  static_cast<long long>(as_int(v) ? *as_int(v) : static_cast<std::int64_t>(*number)));
  } else {
    rt.fail("'%' knows the formats s, r, d, i and f");
  }
  return own(buffer);
}

void append_padded(Marked& to, const Marked& part, const Directive& d) {
  const std::size_t length = count_code_points(part.text);
  const std::size_t missing = d.width > length ? d.width - length : 0;
  const bool zeros = d.zeros && !d.left && d.type != 's' && d.type != 'r';
  const std::size_t sign = zeros && !part.text.empty() && part.text[0] == '-' ? 1 : 0;
  append(to, part, 0, sign);
  if (!d.left) append(to, std::string(missing, zeros ? '0' : ' '));
  append(to, part, sign, part.text.size());
  if (d.left) append(to, std::string(missing, ' '));
}

}  // namespace

Value format_percent(Runtime& rt, const Marked& format, const Value& v) {
  const List* tuple = as_sequence(v);
  if (tuple && tuple->kind != ListKind::tuple) tuple = nullptr;
  const std::size_t n = tuple ? tuple->items.size() : 1;
  std::size_t used = 0, at = 0;
  Marked result;
  while (at < format.text.size()) {
    const std::size_t percent = std::min(format.text.find('%', at), format.text.size());
    append(result, format, at, percent);
    at = percent + 1;
    if (percent == format.text.size()) break;
    rt.step();
    const Directive d = directive(rt, format.text, at);
    if (d.type == '%') {
      append(result, format, percent, percent + 1);
      continue;
    }
    if (used == n) rt.fail("not enough values for a format");
    append_padded(result, formatted(rt, d, tuple ? tuple->items[used] : v), d);
    ++used;
    rt.check_length(result.text.size());
  }
  const bool is_mapping = std::holds_alternative<Dict*>(v) || std::holds_alternative<List*>(v);
  if (used < n && (tuple || !is_mapping)) rt.fail("too many values for a format");
  return rt.text(std::move(result));
}

const Function* find_global(std::string_view name) {
  for (const Function& f : table)
    if (f.name == name) return &f;
  return nullptr;
}

}  // namespace coterie::text::jinja
