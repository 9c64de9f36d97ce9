// Tests: what may follow "is".
#include "text/template/functions.h"
#include "text/template/marked_ops.h"
#include "text/template/operations.h"

namespace coterie::text::jinja {

namespace {

template <class T>
bool is(const Value& v) {
  return std::holds_alternative<T>(v);
}

template <Operator op>
Value related(Runtime& rt, const Value& self, const Args& args) {
  return relation(rt, op, self, args[0]);
}

// As Python's object identity, as far as a template can tell.
Value same_as(Runtime& rt, const Value& self, const Args& args) {
  return self.index() == args[0].index() && equal(rt, self, args[0]);
}

bool has_remainder(Runtime& rt, const Value& self, const Value& by) {
  const Value rest = arithmetic(rt, Operator::mod, self, by);
  if (!as_number(rest)) rt.fail("odd, even and divisibleby need numbers, not a " + type_name(self));
  return *as_number(rest) != 0;
}

Value odd(Runtime& rt, const Value& self, const Args&) { return has_remainder(rt, self, std::int64_t{2}); }
Value even(Runtime& rt, const Value& self, const Args&) { return !has_remainder(rt, self, std::int64_t{2}); }
Value divisible(Runtime& rt, const Value& self, const Args& args) {
  return !has_remainder(rt, self, args[0]);
}

bool has_only(Runtime& rt, const Value& self, Case wanted) {
  const Text text = to_text(rt, self);
  const bool has_letters = change_case(*text, Case::upper).text != change_case(*text, Case::lower).text;
  return has_letters && change_case(*text, wanted).text == text->text;
}

Value upper(Runtime& rt, const Value& self, const Args&) { return has_only(rt, self, Case::upper); }
Value lower(Runtime& rt, const Value& self, const Args&) { return has_only(rt, self, Case::lower); }

Value is_iterable(Runtime&, const Value& v, const Args&) {
  return is<List*>(v) || is<Dict*>(v) || is<Text>(v) || is<Loop*>(v) || is<Undefined>(v);
}
Value is_sequence(Runtime&, const Value& v, const Args&) {  // anything with a length and subscripts
  return as_sequence(v) != nullptr || is<Dict*>(v) || is<Text>(v) || is<Undefined>(v);
}

using V = const Value&;
using A = const Args&;
using R = Runtime&;

constexpr Function table[] = {
    {"!=", "other", related<Operator::ne>},
    {"<", "other", related<Operator::lt>},
    {"<=", "other", related<Operator::le>},
    {"==", "other", related<Operator::eq>},
    {">", "other", related<Operator::gt>},
    {">=", "other", related<Operator::ge>},
    {"boolean", "", [](R, V v, A) -> Value { return is<bool>(v); }},
    {"callable", "", [](R, V v, A) -> Value { return is<const Macro*>(v) || is<Builtin>(v); }},
    {"defined", "", [](R, V v, A) -> Value { return !is<Undefined>(v); }},
    {"divisibleby", "num", divisible},
    {"eq", "other", related<Operator::eq>},
    {"equalto", "other", related<Operator::eq>},
    {"even", "", even},
    {"false", "", [](R, V v, A) -> Value { return is<bool>(v) && !std::get<bool>(v); }},
    {"filter", "", [](R r, V v, A) -> Value { return find_filter(text_argument(r, v).text) != nullptr; }},
    {"float", "", [](R, V v, A) -> Value { return is<double>(v); }},
    {"ge", "other", related<Operator::ge>},
    {"greaterthan", "other", related<Operator::gt>},
    {"gt", "other", related<Operator::gt>},
    {"in", "seq", related<Operator::in>},
    {"integer", "", [](R, V v, A) -> Value { return is<std::int64_t>(v); }},
    {"iterable", "", is_iterable},
    {"le", "other", related<Operator::le>},
    {"lessthan", "other", related<Operator::lt>},
    {"lower", "", lower},
    {"lt", "other", related<Operator::lt>},
    {"mapping", "", [](R, V v, A) -> Value { return is<Dict*>(v); }},
    {"ne", "other", related<Operator::ne>},
    {"none", "", [](R, V v, A) -> Value { return is<None>(v); }},
    {"number", "", [](R, V v, A) -> Value { return as_number(v).has_value(); }},
    {"odd", "", odd},
    {"sameas", "other", same_as},
    {"sequence", "", is_sequence},
    {"string", "", [](R, V v, A) -> Value { return is<Text>(v); }},
    {"test", "", [](R r, V v, A) -> Value { return find_test(text_argument(r, v).text) != nullptr; }},
    {"true", "", [](R, V v, A) -> Value { return is<bool>(v) && std::get<bool>(v); }},
    {"undefined", "", [](R, V v, A) -> Value { return is<Undefined>(v); }},
    {"upper", "", upper},
};

}  // namespace

const Function* find_test(std::string_view name) {
  for (const Function& f : table)
    if (f.name == name) return &f;
  return nullptr;
}

}  // namespace coterie::text::jinja
