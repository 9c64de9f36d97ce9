// The syntax tree. One node type for expressions and one for statements: the kind says what the parts mean.
#pragma once

#include "text/template/value.h"

#include <string>
#include <vector>

namespace coterie::text::jinja {

enum class ExprKind {
  constant,     // value
  name,         // name
  list,         // parts
  tuple,        // parts
  dict,         // parts: key, value, key, value...
  attribute,    // parts: object; name
  index,        // parts: object, key
  slice,        // parts: object, start, stop, step (constant none where absent)
  call,         // parts: callee, arguments; the last keywords.size() arguments are named
  filter,       // parts: input, arguments, as a call; name
  test,         // parts: input, arguments, as a call; name
  conditional,  // parts: condition, then, else (constant undefined where absent)
  any_of,       // parts joined by "or"
  all_of,       // parts joined by "and"
  negation,     // parts: operand of "not"
  compare,      // parts and the operators between them: a < b < c
  arithmetic,   // parts and the operators between them, from left to right
  concat,       // parts joined by "~"
  minus,        // parts: operand
  plus,         // parts: operand
};

enum class Operator { add, sub, mul, div, floor_div, mod, pow, eq, ne, lt, le, gt, ge, in, not_in };

struct Expr {
  ExprKind kind = ExprKind::constant;
  int line = 0;
  int height = 1;  // of the tree below, bounded by the parser
  std::string name;
  Value value;
  std::vector<Expr> parts;
  std::vector<Operator> operators;
  std::vector<std::string> keywords;
};

enum class StmtKind {
  data,     // text
  output,   // exprs: what is printed
  branch,   // exprs: conditions, one for each body; one more body is the else
  loop,     // exprs: target, iterable, condition (if any); bodies: body, else (may be empty)
  assign,   // exprs: target, value
  capture,  // exprs: target, filters around a placeholder (if any); bodies: what is captured
  macro,    // name; exprs: parameter names, then default values of the last ones; n_parameters; bodies: body
  filter,   // exprs: filters around a placeholder; bodies: what is filtered
  break_loop,
  continue_loop,
};

struct Stmt {
  StmtKind kind = StmtKind::data;
  int line = 0;
  int n_parameters = 0;
  std::string name;
  Text text;
  std::vector<Expr> exprs;
  std::vector<std::vector<Stmt>> bodies;
};

// Stands for the captured text inside a chain of filters; no name in a template can be spelled like this.
inline constexpr std::string_view captured_name = "<captured>";

}  // namespace coterie::text::jinja
