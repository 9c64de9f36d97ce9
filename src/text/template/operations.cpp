#include "text/template/operations.h"

#include "text/template/functions.h"
#include "text/template/marked_ops.h"

#include <algorithm>
#include <cmath>

namespace coterie::text::jinja {

void fail_undefined(Runtime& rt, const Value& v) {
  const std::string_view name = std::get<Undefined>(v).name;
  rt.fail(name.empty() ? "a value is undefined" : "'" + std::string(name) + "' is undefined");
}

namespace {

// ---- numbers

std::string_view symbol(Operator op) {
  static constexpr std::string_view symbols[] = {"+", "-", "*", "/", "//", "%", "**"};
  return symbols[static_cast<int>(op)];
}

std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

std::int64_t int_power(Runtime& rt, std::int64_t base, std::int64_t exponent) {
  std::int64_t result = 1;
  for (bool overflow = false; exponent > 0; exponent >>= 1) {
    if (exponent & 1) overflow = __builtin_mul_overflow(result, base, &result);
    if (!overflow && exponent > 1) overflow = __builtin_mul_overflow(base, base, &base);
    if (overflow) rt.fail("an integer does not fit 64 bits");
  }
  return result;
}

Value int_arithmetic(Runtime& rt, Operator op, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  bool overflow = false;
  if (op == Operator::add) overflow = __builtin_add_overflow(a, b, &result);
  if (op == Operator::sub) overflow = __builtin_sub_overflow(a, b, &result);
  if (op == Operator::mul) overflow = __builtin_mul_overflow(a, b, &result);
  if (op == Operator::pow) result = int_power(rt, a, b);
  if (op == Operator::floor_div || op == Operator::mod) {
    if (b == 0) rt.fail("division by zero");
    overflow = b == -1 && __builtin_sub_overflow(std::int64_t{0}, a, &result);
    if (b == -1)
      result = op == Operator::mod ? 0 : result;
    else
      result = op == Operator::mod ? a - floor_div(a, b) * b : floor_div(a, b);
  }
  if (overflow) rt.fail("an integer does not fit 64 bits");
  return result;
}

Value float_arithmetic(Runtime& rt, Operator op, double a, double b) {
  if (op == Operator::add) return a + b;
  if (op == Operator::sub) return a - b;
  if (op == Operator::mul) return a * b;
  if (op == Operator::pow) {
    if (a == 0 && b < 0) rt.fail("division by zero");
    if (a < 0 && b != std::floor(b)) rt.fail("the power would be a complex number");
    return std::pow(a, b);
  }
  if (b == 0) rt.fail("division by zero");
  if (op == Operator::div) return a / b;
  double rest = std::fmod(a, b);
  if (rest != 0 && (rest < 0) != (b < 0)) rest += b;
  return op == Operator::mod ? rest : std::floor((a - rest) / b + 0.5);
}

// ---- sequences

Value repeat(Runtime& rt, const Value& what, std::int64_t times) {
  const auto n = static_cast<std::uint64_t>(std::max<std::int64_t>(times, 0));
  if (const Marked* s = as_text(what)) {
    std::uint64_t bytes = 0;
    if (__builtin_mul_overflow(n, s->text.size(), &bytes)) bytes = UINT64_MAX;
    rt.check_length(bytes);
    Marked result;
    if (!s->text.empty())
      for (std::uint64_t i = 0; i < n; ++i) append(result, *s);
    return rt.text(std::move(result));
  }
  const List& list = *as_sequence(what);
  List& result = rt.list(list.kind);
  if (!list.items.empty())
    for (std::uint64_t i = 0; i < n; ++i)
      for (const Value& v : list.items) rt.push(result, v);
  return &result;
}

bool can_repeat(const Value& v) {
  const List* list = as_sequence(v);
  return as_text(v) || (list && list->kind != ListKind::range);
}

std::optional<Value> add_sequences(Runtime& rt, const Value& a, const Value& b) {
  if (as_text(a) && as_text(b)) {
    const Marked &left = *as_text(a), &right = *as_text(b);
    rt.check_length(left.text.size() + right.text.size());
    Marked sum;
    sum.text.reserve(left.text.size() + right.text.size());
    append(sum, left);
    append(sum, right);
    return rt.text(std::move(sum));
  }
  const List *x = as_sequence(a), *y = as_sequence(b);
  if (!x || !y || x->kind != y->kind || x->kind == ListKind::range) return std::nullopt;
  List& sum = rt.list(x->kind);
  for (const List* part : {x, y})
    for (const Value& v : part->items) rt.push(sum, v);
  return &sum;
}

}  // namespace

Value arithmetic(Runtime& rt, Operator op, const Value& a, const Value& b) {
  if (is_undefined(a)) fail_undefined(rt, a);
  if (is_undefined(b)) fail_undefined(rt, b);
  const bool fits_int = op != Operator::div && !(op == Operator::pow && as_int(b) && *as_int(b) < 0);
  if (as_int(a) && as_int(b) && fits_int) return int_arithmetic(rt, op, *as_int(a), *as_int(b));
  if (as_number(a) && as_number(b)) return float_arithmetic(rt, op, *as_number(a), *as_number(b));
  if (op == Operator::add)
    if (std::optional<Value> sum = add_sequences(rt, a, b)) return *sum;
  if (op == Operator::mul && can_repeat(a) && as_int(b)) return repeat(rt, a, *as_int(b));
  if (op == Operator::mul && can_repeat(b) && as_int(a)) return repeat(rt, b, *as_int(a));
  if (op == Operator::mod && as_text(a)) return format_percent(rt, *as_text(a), b);
  rt.fail("'" + std::string(symbol(op)) + "' does not work between " + type_name(a) + " and " + type_name(b));
}

bool relation(Runtime& rt, Operator op, const Value& a, const Value& b) {
  if (op == Operator::eq) return equal(rt, a, b);
  if (op == Operator::ne) return !equal(rt, a, b);
  if (op == Operator::in) return contains(rt, b, a);
  if (op == Operator::not_in) return !contains(rt, b, a);
  if (is_undefined(a)) fail_undefined(rt, a);
  if (is_undefined(b)) fail_undefined(rt, b);
  const bool unordered =
      (as_number(a) && std::isnan(*as_number(a))) || (as_number(b) && std::isnan(*as_number(b)));
  const int order = compare(rt, a, b);
  if (unordered) return false;
  if (op == Operator::lt) return order < 0;
  if (op == Operator::le) return order <= 0;
  if (op == Operator::gt) return order > 0;
  return order >= 0;
}

Value negative(Runtime& rt, const Value& v) {
  if (is_undefined(v)) fail_undefined(rt, v);
  if (as_int(v)) return int_arithmetic(rt, Operator::sub, 0, *as_int(v));
  if (as_number(v)) return -*as_number(v);
  rt.fail("'-' does not work on a " + type_name(v));
}

// ---- dots and subscripts

namespace {

std::optional<Value> loop_attribute(const Loop& loop, std::string_view name) {
  const auto index = static_cast<std::int64_t>(loop.index);
  const auto n = static_cast<std::int64_t>(loop.items->items.size());
  const auto neighbour = [&](std::int64_t at) -> Value {
    if (at < 0 || at >= n) return Undefined{};
    return loop.items->items[static_cast<std::size_t>(at)];
  };
  if (name == "index") return index + 1;
  if (name == "index0") return index;
  if (name == "revindex") return n - index;
  if (name == "revindex0") return n - index - 1;
  if (name == "first") return index == 0;
  if (name == "last") return index + 1 == n;
  if (name == "length") return n;
  if (name == "depth") return std::int64_t{loop.depth};
  if (name == "depth0") return std::int64_t{loop.depth} - 1;
  if (name == "previtem") return neighbour(index - 1);
  if (name == "nextitem") return neighbour(index + 1);
  return std::nullopt;
}

Value text_at(Runtime& rt, const Marked& s, std::int64_t at) {
  rt.work(s.text.size());
  if (at < 0) at += static_cast<std::int64_t>(count_code_points(s.text));
  if (at < 0) return Undefined{};
  std::size_t byte = 0;
  while (at > 0 && byte < s.text.size()) {
    byte += code_point(s.text, byte).bytes;
    --at;
  }
  if (byte >= s.text.size()) return Undefined{};
  return rt.text(slice(s, byte, byte + code_point(s.text, byte).bytes));
}

}  // namespace

Value attribute(Runtime& rt, const Value& v, std::string_view name) {
  if (is_undefined(v)) fail_undefined(rt, v);
  if (const auto* loop = std::get_if<Loop*>(&v))
    return loop_attribute(**loop, name).value_or(Undefined{name});
  if (const Function* method = find_method(v, name)) return Builtin{method->name};
  const Value* found = nullptr;
  if (const auto* dict = std::get_if<Dict*>(&v)) found = find(**dict, name);
  if (const auto* ns = std::get_if<Namespace*>(&v)) found = find((*ns)->attributes, name);
  return found ? *found : Undefined{name};
}

Value item(Runtime& rt, const Value& v, const Value& key) {
  if (is_undefined(v)) fail_undefined(rt, v);
  const Marked* name = as_text(key);
  if (const auto* dict = std::get_if<Dict*>(&v)) {
    if (const Value* found = find(rt, **dict, key)) return *found;
    if (name && find_method(v, name->text)) return attribute(rt, v, name->text);
    return Undefined{};
  }
  if (name) {
    // Names in the result must outlive this value: the tables' own for methods, none otherwise.
    Value found = attribute(rt, v, name->text);
    return is_undefined(found) ? Undefined{} : found;
  }
  const auto at = as_int(key);
  if (!at) return Undefined{};
  if (const Marked* s = as_text(v)) return text_at(rt, *s, *at);
  const List* list = as_sequence(v);
  if (!list) return Undefined{};
  const auto n = static_cast<std::int64_t>(list->items.size());
  const std::int64_t index = *at < 0 ? *at + n : *at;
  return index < 0 || index >= n ? Value(Undefined{}) : list->items[static_cast<std::size_t>(index)];
}

namespace {

struct Stride {
  std::int64_t start, step, count;
};

// Python's rules for missing, negative and excessive bounds.
Stride stride(Runtime& rt, std::int64_t n, const Value (&bounds)[3]) {
  const auto bound = [&](const Value& v, std::int64_t absent) {
    if (is_none(v)) return absent;
    const auto i = as_int(v);
    if (!i) rt.fail("a slice needs integers, not " + type_name(v));
    return *i;
  };
  const std::int64_t step = bound(bounds[2], 1);
  if (step == 0) rt.fail("a slice cannot have step 0");
  const bool down = step < 0;
  const std::int64_t least = down ? -1 : 0, most = down ? n - 1 : n;
  const auto place = [&](const Value& v, std::int64_t absent) {
    if (is_none(v)) return absent;
    const std::int64_t i = bound(v, 0);
    return std::clamp(i < 0 ? i + n : i, least, most);
  };
  const std::int64_t start = place(bounds[0], down ? most : least),
                     stop = place(bounds[1], down ? least : most);
  const std::int64_t distance = down ? start - stop : stop - start;
  const auto size = down ? 0 - static_cast<std::uint64_t>(step) : static_cast<std::uint64_t>(step);
  const auto gap = static_cast<std::uint64_t>(std::max<std::int64_t>(distance, 0));
  return {start, step, static_cast<std::int64_t>(gap / size + (gap % size != 0))};
}

Value slice_text(Runtime& rt, const Marked& s, const Value (&bounds)[3]) {
  rt.work(s.text.size());
  const Stride by = stride(rt, static_cast<std::int64_t>(count_code_points(s.text)), bounds);
  Marked result;
  if (by.step == 1) {
    std::size_t begin = 0;
    for (std::int64_t i = 0; i < by.start; ++i) begin += code_point(s.text, begin).bytes;
    std::size_t end = begin;
    for (std::int64_t i = 0; i < by.count; ++i) end += code_point(s.text, end).bytes;
    append(result, s, begin, end);
    return rt.text(std::move(result));
  }
  const List& characters = iterate(rt, rt.text(s));
  for (std::int64_t i = 0, at = by.start; i < by.count; ++i, at += i < by.count ? by.step : 0)
    append(result, *as_text(characters.items[static_cast<std::size_t>(at)]));
  return rt.text(std::move(result));
}

}  // namespace

Value slice(Runtime& rt, const Value& v, const Value (&bounds)[3]) {
  if (is_undefined(v)) fail_undefined(rt, v);
  if (const Marked* s = as_text(v)) return slice_text(rt, *s, bounds);
  const List* list = as_sequence(v);
  if (!list) rt.fail("a slice of a " + type_name(v));
  const Stride by = stride(rt, static_cast<std::int64_t>(list->items.size()), bounds);
  List& result = rt.list(list->kind);
  for (std::int64_t i = 0, at = by.start; i < by.count; ++i, at += i < by.count ? by.step : 0)
    rt.push(result, list->items[static_cast<std::size_t>(at)]);
  return &result;
}

}  // namespace coterie::text::jinja
