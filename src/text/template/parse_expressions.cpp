// Expressions of the grammar; see parser_state.h.
#include "text/template/marked_ops.h"
#include "text/template/parser_state.h"
#include "text/utf8.h"

#include <charconv>
#include <utility>

namespace coterie::text::jinja {

// a or b or c: one node with three parts; a alone: a itself. step takes an operator, if there is one.
Expr Parser::chain(Expr (Parser::*operand)(), ExprKind kind, bool (Parser::*step)(Expr&)) {
  Expr first = (this->*operand)();
  Expr all = make(kind, first.line);
  while ((this->*step)(all)) {
    if (all.parts.empty()) adopt(all, std::move(first));
    adopt(all, (this->*operand)());
  }
  return all.parts.empty() ? first : all;
}

bool Parser::step_op(Expr& e, std::initializer_list<std::pair<std::string_view, Operator>> operators) {
  for (const auto& [text, op] : operators)
    if (skip_op(text)) {
      e.operators.push_back(op);
      return true;
    }
  return false;
}

bool Parser::step_sum(Expr& e) { return step_op(e, {{"+", Operator::add}, {"-", Operator::sub}}); }

bool Parser::step_product(Expr& e) {
  return step_op(
      e, {{"*", Operator::mul}, {"/", Operator::div}, {"//", Operator::floor_div}, {"%", Operator::mod}});
}

bool Parser::step_power(Expr& e) { return step_op(e, {{"**", Operator::pow}}); }

bool Parser::step_compare(Expr& e) {
  if (at_word("in") || (at_word("not") && is(next(), TokenKind::name, "in"))) {
    e.operators.push_back(at_word("in") ? Operator::in : Operator::not_in);
    if (at_word("not")) take();
    take();
    return true;
  }
  return step_op(e, {{"==", Operator::eq},
                     {"!=", Operator::ne},
                     {"<", Operator::lt},
                     {"<=", Operator::le},
                     {">", Operator::gt},
                     {">=", Operator::ge}});
}

Expr Parser::expression(bool with_condition) {
  const Level level(*this);
  Expr value = any_of();
  while (with_condition && skip_word("if")) {
    Expr conditional = make(ExprKind::conditional, value.line);
    adopt(conditional, any_of());
    adopt(conditional, std::move(value));
    adopt(conditional, skip_word("else") ? expression() : constant(Undefined{}, conditional.line));
    value = std::move(conditional);
  }
  return value;
}

Expr Parser::any_of() { return chain(&Parser::all_of, ExprKind::any_of, &Parser::step_any); }
Expr Parser::all_of() { return chain(&Parser::negation, ExprKind::all_of, &Parser::step_all); }

Expr Parser::negation() {
  if (!at_word("not")) return compare();
  const Level level(*this);
  Expr e = make(ExprKind::negation, take().line);
  adopt(e, negation());
  return e;
}

Expr Parser::compare() { return chain(&Parser::sum, ExprKind::compare, &Parser::step_compare); }
Expr Parser::sum() { return chain(&Parser::concat, ExprKind::arithmetic, &Parser::step_sum); }
Expr Parser::concat() { return chain(&Parser::product, ExprKind::concat, &Parser::step_concat); }
Expr Parser::product() { return chain(&Parser::power, ExprKind::arithmetic, &Parser::step_product); }

Expr Parser::power() {
  Expr first = unary();
  Expr all = make(ExprKind::arithmetic, first.line);
  while (step_power(all)) {
    if (all.parts.empty()) adopt(all, std::move(first));
    adopt(all, unary());
  }
  return all.parts.empty() ? first : all;
}

// As in Jinja, a filter applies to the sign as well: -1|abs is 1.
Expr Parser::unary(bool with_filters) {
  Expr e;
  if (at_op("-") || at_op("+")) {
    const Level level(*this);
    e = make(at_op("-") ? ExprKind::minus : ExprKind::plus, now().line);
    take();
    adopt(e, unary(false));
  } else {
    e = primary();
  }
  e = postfix(std::move(e));
  return with_filters ? filters(std::move(e)) : e;
}

Expr Parser::primary() {
  const Token& token = now();
  if (token.kind == TokenKind::string) return string();
  if (token.kind == TokenKind::integer || token.kind == TokenKind::real) return number(take());
  if (at_op("[")) return list();
  if (at_op("{")) return dict();
  if (skip_op("(")) {
    const Level level(*this);
    Expr e = tuple(true, true, "");
    expect_op(")");
    return e;
  }
  if (token.kind != TokenKind::name) fail_unexpected("an expression");
  take();
  if (token.text == "true" || token.text == "True") return constant(true, token.line);
  if (token.text == "false" || token.text == "False") return constant(false, token.line);
  if (token.text == "none" || token.text == "None") return constant(None{}, token.line);
  Expr e = make(ExprKind::name, token.line);
  e.name = std::string(token.text);
  return e;
}

Expr Parser::number(const Token& token) const {
  std::string digits;
  for (const char c : token.text)
    if (c != '_') digits += c;
  const char* end = digits.data() + digits.size();
  std::from_chars_result read{};
  Expr e = constant(None{}, token.line);
  if (token.kind == TokenKind::real) {
    double value = 0;
    read = std::from_chars(digits.data(), end, value);
    e.value = value;
  } else {
    const char mark = digits.size() > 1 && digits[0] == '0' ? static_cast<char>(digits[1] | 0x20) : '\0';
    const int base = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 10;
    std::int64_t value = 0;
    read = std::from_chars(digits.data() + (base == 10 ? 0 : 2), end, value, base);
    e.value = value;
  }
  if (read.ec != std::errc() || read.ptr != end)
    throw TemplateError(token.line, "not a number that fits: " + digits);
  return e;
}

Expr Parser::list() {
  const Level level(*this);
  Expr e = make(ExprKind::list, take().line);
  while (!at_op("]")) {
    if (!e.parts.empty()) expect_op(",");
    if (at_op("]")) break;
    adopt(e, expression());
  }
  take();
  return e;
}

Expr Parser::dict() {
  const Level level(*this);
  Expr e = make(ExprKind::dict, take().line);
  while (!at_op("}")) {
    if (!e.parts.empty()) expect_op(",");
    if (at_op("}")) break;
    adopt(e, expression());
    expect_op(":");
    adopt(e, expression());
  }
  take();
  return e;
}

// Expressions separated by commas, or a single one.
Expr Parser::tuple(bool with_condition, bool in_brackets, std::string_view end_word) {
  const auto ends = [&] {
    return at_op(")") || now().kind == TokenKind::output_end || now().kind == TokenKind::block_end ||
           (!end_word.empty() && at_word(end_word));
  };
  Expr all = make(ExprKind::tuple, now().line);
  if (ends()) {
    if (!in_brackets) fail_unexpected("an expression");
    return all;
  }
  Expr first = expression(with_condition);
  if (!at_op(",")) return first;
  adopt(all, std::move(first));
  while (skip_op(",") && !ends()) adopt(all, expression(with_condition));
  return all;
}

// ---- what may follow a value

Expr Parser::postfix(Expr object) {
  for (;;) {
    if (at_op(".") || at_op("[")) {
      object = subscript(std::move(object));
    } else if (at_op("(")) {
      Expr call = make(ExprKind::call, now().line);
      adopt(call, std::move(object));
      arguments(call);
      object = std::move(call);
    } else {
      return object;
    }
  }
}

Expr Parser::filters(Expr object) {
  for (;;) {
    if (skip_op("|"))
      object = filter(std::move(object));
    else if (at_word("is"))
      object = test(std::move(object));
    else if (at_op("("))
      object = postfix(std::move(object));
    else
      return object;
  }
}

Expr Parser::filter(Expr input) {
  Expr e = make(ExprKind::filter, now().line);
  e.name = expect_name();
  adopt(e, std::move(input));
  if (at_op("(")) arguments(e);
  return e;
}

Expr Parser::test(Expr input) {
  Expr e = make(ExprKind::test, take().line);
  const bool negated = skip_word("not");
  e.name = expect_name();
  adopt(e, std::move(input));
  const TokenKind kind = now().kind;
  const bool value_follows = kind == TokenKind::string || kind == TokenKind::integer ||
                             kind == TokenKind::real || at_op("[") || at_op("{") ||
                             (kind == TokenKind::name && !at_word_of({"else", "or", "and"}));
  if (at_op("(")) {
    arguments(e);
  } else if (value_follows) {
    if (at_word("is")) fail("tests cannot be chained with 'is'");
    adopt(e, postfix(primary()));
  }
  if (!negated) return e;
  Expr negation = make(ExprKind::negation, e.line);
  adopt(negation, std::move(e));
  return negation;
}

Expr Parser::subscript(Expr object) {
  const int line = now().line;
  if (skip_op("[")) {
    Expr e = subscript_key(std::move(object));
    expect_op("]");
    return e;
  }
  take();  // the dot
  Expr e = make(now().kind == TokenKind::integer ? ExprKind::index : ExprKind::attribute, line);
  adopt(e, std::move(object));
  if (e.kind == ExprKind::index)
    adopt(e, number(take()));
  else
    e.name = expect_name();
  return e;
}

Expr Parser::subscript_key(Expr object) {
  const Level level(*this);
  Expr slice = make(ExprKind::slice, now().line);
  const auto bound = [&] { return at_op(":") || at_op("]") ? constant(None{}, slice.line) : expression(); };
  if (at_op("]")) fail_unexpected("an index");
  Expr first = bound();
  if (!at_op(":")) {
    slice.kind = ExprKind::index;
    adopt(slice, std::move(object));
    adopt(slice, std::move(first));
    return slice;
  }
  adopt(slice, std::move(object));
  adopt(slice, std::move(first));
  for (int i = 0; i < 2; ++i) adopt(slice, skip_op(":") ? bound() : constant(None{}, slice.line));
  return slice;
}

// Appends the arguments in parentheses to a call, filter or test.
void Parser::arguments(Expr& call) {
  const Level level(*this);
  expect_op("(");
  for (bool first = true; !at_op(")"); first = false) {
    if (!first) expect_op(",");
    if (at_op(")")) break;
    if (at_op("*") || at_op("**")) fail("arguments from a list or dict ('*') are not supported");
    if (now().kind == TokenKind::name && is(next(), TokenKind::op, "=")) {
      call.keywords.push_back(expect_name());
      take();
    } else if (!call.keywords.empty()) {
      fail("an argument without a name follows one with");
    }
    adopt(call, expression());
  }
  take();
}

// ---- string literals

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// Python's escapes in a literal's inside; one that is not known stays as it is.
static std::string unescape(std::string_view s, int line) {
  static constexpr std::string_view letters = "abfnrtv\\'\"", values = "\a\b\f\n\r\t\v\\'\"";
  std::string result;
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (s[i] != '\\' || i + 1 == s.size()) {
      result += s[i];
      continue;
    }
    const char c = s[++i];
    const std::size_t n_hex = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (c == '\n') continue;
    if (letters.find(c) != std::string_view::npos) {
      result += values[letters.find(c)];
    } else if (n_hex > 0) {
      char32_t value = 0;
      for (std::size_t k = 1; k <= n_hex; ++k) {
        const int digit = i + k < s.size() ? hex_digit(s[i + k]) : -1;
        if (digit < 0)
          throw TemplateError(line, std::string("a string has an incomplete \\") + c + " escape");
        value = value << 4 | static_cast<char32_t>(digit);
      }
      if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000))
        throw TemplateError(line, "a string names a code point that does not exist");
      append_code_point(value, result);
      i += n_hex;
    } else if (c >= '0' && c <= '7') {
      char32_t value = 0;
      std::size_t k = 0;
      for (; k < 3 && i + k < s.size() && s[i + k] >= '0' && s[i + k] <= '7'; ++k)
        value = value * 8 + static_cast<char32_t>(s[i + k] - '0');
      append_code_point(value, result);
      i += k - 1;
    } else {
      result += '\\';
      result += c;
    }
  }
  return result;
}

// Literals that follow each other are one string.
Expr Parser::string() {
  const int line = now().line;
  std::string text;
  while (now().kind == TokenKind::string) {
    const Token token = take();
    text += unescape(token.text.substr(1, token.text.size() - 2), token.line);
  }
  return constant(std::make_shared<const Marked>(own(std::move(text))), line);
}

}  // namespace coterie::text::jinja
