// Tokens and statements of the grammar; see parser_state.h.
#include "text/template/parser.h"

#include "text/template/marked_ops.h"
#include "text/template/parser_state.h"

#include <utility>

namespace coterie::text::jinja {

static constexpr std::size_t max_source = 1 << 18;

// ---- tokens

static std::string describe(const Token& t) {
  switch (t.kind) {
    case TokenKind::data:
      return "text";
    case TokenKind::output_begin:
      return "'{{'";
    case TokenKind::output_end:
      return "'}}'";
    case TokenKind::block_begin:
      return "'{%'";
    case TokenKind::block_end:
      return "'%}'";
    case TokenKind::end:
      return "the end of the template";
    default:
      return "'" + std::string(t.text) + "'";
  }
}

void Parser::fail_unexpected(std::string_view wanted) const {
  fail("unexpected " + describe(now()) + ", expected " + std::string(wanted));
}

bool Parser::at_word_of(std::initializer_list<std::string_view> words) const {
  for (const std::string_view word : words)
    if (at_word(word)) return true;
  return false;
}

void Parser::expect_op(std::string_view text) {
  if (!skip_op(text)) fail_unexpected("'" + std::string(text) + "'");
}

void Parser::expect_word(std::string_view text) {
  if (!skip_word(text)) fail_unexpected("'" + std::string(text) + "'");
}

void Parser::expect(TokenKind kind, std::string_view what) {
  if (now().kind != kind) fail_unexpected(what);
  take();
}

std::string Parser::expect_name() {
  if (now().kind != TokenKind::name) fail_unexpected("a name");
  return std::string(take().text);
}

// ---- nodes

Expr Parser::make(ExprKind kind, int line) const {
  Expr e;
  e.kind = kind;
  e.line = line;
  return e;
}

Expr Parser::constant(Value value, int line) const {
  Expr e = make(ExprKind::constant, line);
  e.value = std::move(value);
  return e;
}

void Parser::adopt(Expr& parent, Expr part) const {
  parent.height = std::max(parent.height, part.height + 1);
  if (parent.height > max_height)
    fail("an expression of more than " + std::to_string(max_height) + " levels");
  parent.parts.push_back(std::move(part));
}

Stmt Parser::make(StmtKind kind) const {
  Stmt s;
  s.kind = kind;
  s.line = now().line;
  return s;
}

// ---- statements

std::vector<Stmt> Parser::run() {
  std::vector<Stmt> all = statements({});
  if (now().kind != TokenKind::end) fail("'" + std::string(now().text) + "' closes nothing here");
  return all;
}

// From behind a tag's words to the name of the tag that ends the body, which stays the current token.
std::vector<Stmt> Parser::body(Words end_words) {
  const Level level(*this);
  skip_op(":");
  expect(TokenKind::block_end, "'%}'");
  std::vector<Stmt> result = statements(end_words);
  if (!at_word_of(end_words)) fail_unexpected("'" + std::string(*(end_words.end() - 1)) + "'");
  return result;
}

std::vector<Stmt> Parser::statements(Words end_words) {
  std::vector<Stmt> all;
  for (;;) {
    Stmt s = make(StmtKind::data);
    const TokenKind kind = now().kind;
    if (kind == TokenKind::end) return all;
    const Token token = take();
    if (kind == TokenKind::data) {
      s.text = std::make_shared<const Marked>(own(std::string(token.text)));
      all.push_back(std::move(s));
    } else if (kind == TokenKind::output_begin) {
      s.kind = StmtKind::output;
      s.exprs.push_back(tuple(true, false, ""));
      expect(TokenKind::output_end, "'}}'");
      all.push_back(std::move(s));
    } else {
      if (at_word_of(end_words) || !statement(all)) return all;
      expect(TokenKind::block_end, "'%}'");
    }
  }
}

// One tag from its name to before its "%}". False: it closes something, which only body() may expect.
bool Parser::statement(std::vector<Stmt>& to) {
  if (now().kind != TokenKind::name) fail_unexpected("a tag name");
  if (at_word("if")) return to.push_back(branch()), true;
  if (at_word("for")) return to.push_back(loop()), true;
  if (at_word("set")) return to.push_back(assign()), true;
  if (at_word("macro")) return to.push_back(macro()), true;
  if (at_word("filter")) return to.push_back(filter_block()), true;
  if (at_word("break") || at_word("continue")) {
    if (loops_ == 0) fail("'" + std::string(now().text) + "' outside a loop");
    to.push_back(make(at_word("break") ? StmtKind::break_loop : StmtKind::continue_loop));
    take();
    return true;
  }
  if (skip_word("generation")) {  // marks the assistant's part for training; prints as its body does
    for (Stmt& s : body({"endgeneration"})) to.push_back(std::move(s));
    take();
    return true;
  }
  if (now().text.substr(0, 3) == "end" || at_word("else") || at_word("elif")) return false;
  fail("unknown tag '" + std::string(now().text) + "'");
}

Stmt Parser::branch() {
  Stmt s = make(StmtKind::branch);
  take();
  for (bool more = true; more;) {
    s.exprs.push_back(tuple(false, false, ""));
    s.bodies.push_back(body({"elif", "else", "endif"}));
    more = at_word("elif");
    if (at_word("else")) {
      take();
      s.bodies.push_back(body({"endif"}));
    }
    take();
  }
  return s;
}

Stmt Parser::loop() {
  Stmt s = make(StmtKind::loop);
  take();
  s.exprs.push_back(target("in", false));
  expect_word("in");
  s.exprs.push_back(tuple(false, false, "recursive"));
  if (skip_word("if")) s.exprs.push_back(expression());
  if (at_word("recursive")) fail("recursive loops are not supported");
  ++loops_;
  s.bodies.push_back(body({"else", "endfor"}));
  --loops_;
  s.bodies.emplace_back();
  if (skip_word("else")) s.bodies.back() = body({"endfor"});
  take();
  return s;
}

Stmt Parser::assign() {
  Stmt s = make(StmtKind::assign);
  take();
  s.exprs.push_back(target("", true));
  if (skip_op("=")) {
    s.exprs.push_back(tuple(true, false, ""));
    return s;
  }
  s.kind = StmtKind::capture;
  if (at_op("|")) {
    Expr placeholder = make(ExprKind::name, s.line);
    placeholder.name = captured_name;
    s.exprs.push_back(filters(std::move(placeholder)));
  }
  s.bodies.push_back(body({"endset"}));
  take();
  return s;
}

Stmt Parser::macro() {
  Stmt s = make(StmtKind::macro);
  take();
  s.name = expect_name();
  expect_op("(");
  std::vector<Expr> defaults;
  while (!at_op(")")) {
    if (s.n_parameters++ > 0) expect_op(",");
    Expr parameter = make(ExprKind::name, now().line);
    parameter.name = expect_name();
    s.exprs.push_back(std::move(parameter));
    if (skip_op("="))
      defaults.push_back(expression());
    else if (!defaults.empty())
      fail("a parameter without a default value follows one with");
  }
  expect_op(")");
  for (Expr& value : defaults) s.exprs.push_back(std::move(value));
  const int outer_loops = std::exchange(loops_, 0);
  s.bodies.push_back(body({"endmacro"}));
  loops_ = outer_loops;
  take();
  return s;
}

Stmt Parser::filter_block() {
  Stmt s = make(StmtKind::filter);
  take();
  Expr placeholder = make(ExprKind::name, s.line);
  placeholder.name = captured_name;
  s.exprs.push_back(filters(filter(std::move(placeholder))));
  s.bodies.push_back(body({"endfilter"}));
  take();
  return s;
}

// ---- targets of assignments and loops

Expr Parser::target_item(bool with_attribute) {
  if (skip_op("(")) {
    const Level level(*this);
    Expr inner = target(")", with_attribute);
    expect_op(")");
    return inner;
  }
  Expr name = make(ExprKind::name, now().line);
  name.name = expect_name();
  for (const std::string_view word : {"true", "false", "none", "True", "False", "None"})
    if (name.name == word) fail("'" + name.name + "' cannot be assigned to");
  if (!with_attribute || !skip_op(".")) return name;
  Expr attribute = make(ExprKind::attribute, name.line);
  attribute.name = expect_name();
  adopt(attribute, std::move(name));
  return attribute;
}

Expr Parser::target(std::string_view end_word, bool with_attribute) {
  Expr first = target_item(with_attribute);
  if (!at_op(",")) return first;
  Expr all = make(ExprKind::tuple, first.line);
  adopt(all, std::move(first));
  while (skip_op(",")) {
    if (at_op(end_word) || at_word(end_word) || at_op("=")) break;
    adopt(all, target_item(with_attribute));
  }
  return all;
}

std::vector<Stmt> parse(std::string_view source) {
  if (source.size() > max_source)
    throw TemplateError(1, "the template has " + std::to_string(source.size()) + " bytes, at most " +
                               std::to_string(max_source));
  const std::string text = normalize_source(source);
  return Parser(tokenize(text)).run();
}

}  // namespace coterie::text::jinja
