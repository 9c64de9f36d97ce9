// The parser's state and its grammar, one member per rule: statements are in parser.cpp, expressions in
// parse_expressions.cpp.
//
// Recursive descent. Two limits keep the recursion of the parser, of the interpreter and of the tree's
// destructor bounded: the nesting of brackets, "not", else branches and blocks, and the height of an
// expression (a chain such as a.b.c|d is high without being nested). Operators of one precedence are one flat
// node, so a long sum is not high.
#pragma once

#include "text/template/ast.h"
#include "text/template/lexer.h"
#include "text/template/limits.h"

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coterie::text::jinja {

constexpr int max_nesting = 64;
constexpr int max_height = 64;

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}
  std::vector<Stmt> run();

 private:
  // ---- tokens
  const Token& now() const { return tokens_[at_]; }
  const Token& next() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  Token take() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }
  static bool is(const Token& t, TokenKind kind, std::string_view text) {
    return t.kind == kind && t.text == text;
  }
  bool at_op(std::string_view text) const { return is(now(), TokenKind::op, text); }
  bool at_word(std::string_view text) const { return is(now(), TokenKind::name, text); }
  bool at_word_of(std::initializer_list<std::string_view> words) const;
  bool skip_op(std::string_view text) { return at_op(text) && (take(), true); }
  bool skip_word(std::string_view text) { return at_word(text) && (take(), true); }
  void expect_op(std::string_view text);
  void expect_word(std::string_view text);
  void expect(TokenKind kind, std::string_view what);
  std::string expect_name();
  [[noreturn]] void fail(const std::string& what) const { throw TemplateError(now().line, what); }
  [[noreturn]] void fail_unexpected(std::string_view wanted) const;

  // ---- statements
  using Words = std::initializer_list<std::string_view>;
  std::vector<Stmt> body(Words end_words);
  std::vector<Stmt> statements(Words end_words);
  bool statement(std::vector<Stmt>& to);
  Stmt branch();
  Stmt loop();
  Stmt assign();
  Stmt macro();
  Stmt filter_block();
  Stmt make(StmtKind kind) const;

  // ---- expressions, by rising precedence
  Expr expression(bool with_condition = true);
  Expr any_of();
  Expr all_of();
  Expr negation();
  Expr compare();
  Expr sum();
  Expr concat();
  Expr product();
  Expr power();
  Expr unary(bool with_filters = true);
  Expr primary();
  Expr number(const Token& token) const;
  Expr string();
  Expr list();
  Expr dict();
  Expr postfix(Expr object);
  Expr filters(Expr object);
  Expr filter(Expr input);
  Expr test(Expr input);
  Expr subscript(Expr object);
  Expr subscript_key(Expr object);
  void arguments(Expr& call);
  Expr tuple(bool with_condition, bool in_brackets, std::string_view end_word);
  Expr target(std::string_view end_word, bool with_attribute);
  Expr target_item(bool with_attribute);
  Expr chain(Expr (Parser::*operand)(), ExprKind kind, bool (Parser::*step)(Expr&));
  bool step_sum(Expr& e);
  bool step_product(Expr& e);
  bool step_power(Expr& e);
  bool step_compare(Expr& e);
  bool step_concat(Expr&) { return skip_op("~"); }
  bool step_any(Expr&) { return skip_word("or"); }
  bool step_all(Expr&) { return skip_word("and"); }
  bool step_op(Expr& e, std::initializer_list<std::pair<std::string_view, Operator>> operators);

  Expr make(ExprKind kind, int line) const;
  Expr constant(Value value, int line) const;
  void adopt(Expr& parent, Expr part) const;

  struct Level {  // one level of nesting while it lives
    explicit Level(Parser& parser) : p(parser) {
      if (++p.level_ > max_nesting)
        p.fail("nested more than " + std::to_string(max_nesting) + " levels deep");
    }
    ~Level() { --p.level_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;
    Parser& p;
  };

  const std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int level_ = 0, loops_ = 0;
};

}  // namespace coterie::text::jinja
