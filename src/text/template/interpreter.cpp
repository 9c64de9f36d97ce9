#include "text/template/interpreter.h"

#include "text/template/marked_ops.h"
#include "text/template/operations.h"

#include <algorithm>
#include <utility>

namespace coterie::text::jinja {

// ---- statements

Marked Interpreter::render(const std::vector<Stmt>& body) {
  Marked text;
  Marked* outer = std::exchange(output_, &text);
  run(body);
  output_ = outer;
  rt_.charge(-static_cast<std::int64_t>(text.text.size()));  // see print
  return text;
}

void Interpreter::print(const Marked& text) {
  rt_.check_length(output_->text.size() + text.text.size());
  rt_.work(text.text.size());
  rt_.charge(static_cast<std::int64_t>(text.text.size()));
  append(*output_, text);
}

Interpreter::Flow Interpreter::run(const std::vector<Stmt>& body) {
  const Nesting nesting(rt_, Nesting::syntax);
  for (const Stmt& s : body) {
    const Flow flow = run(s);
    if (flow != Flow::next) return flow;
  }
  return Flow::next;
}

Interpreter::Flow Interpreter::run(const Stmt& s) {
  rt_.line = s.line;
  rt_.step();
  switch (s.kind) {
    case StmtKind::data:
      print(*s.text);
      break;
    case StmtKind::output:
      print(*to_text(rt_, evaluate(s.exprs[0])));
      break;
    case StmtKind::branch:
      return branch(s);
    case StmtKind::loop:
      return loop(s);
    case StmtKind::assign:
      assign(s.exprs[0], evaluate(s.exprs[1]));
      break;
    case StmtKind::capture:
      capture(s);
      break;
    case StmtKind::macro:
      define_macro(s);
      break;
    case StmtKind::filter:
      filter_block(s);
      break;
    case StmtKind::break_loop:
      return Flow::break_loop;
    case StmtKind::continue_loop:
      return Flow::continue_loop;
  }
  return Flow::next;
}

Interpreter::Flow Interpreter::branch(const Stmt& s) {
  for (std::size_t i = 0; i < s.exprs.size(); ++i)
    if (truth(evaluate(s.exprs[i]))) return run(s.bodies[i]);
  return s.bodies.size() > s.exprs.size() ? run(s.bodies.back()) : Flow::next;
}

// The items that pass the loop's condition, which sees the target but no `loop`.
const List& Interpreter::loop_items(const Stmt& s) {
  const List& all = iterate(rt_, evaluate(s.exprs[1]));
  if (s.exprs.size() < 3) return all;
  List& chosen = rt_.list(ListKind::generator);
  const Scope scope(*this, frame_);
  for (std::size_t i = 0; i < all.items.size(); ++i) {
    const Value v = all.items[i];
    assign(s.exprs[0], v);
    if (truth(evaluate(s.exprs[2]))) rt_.push(chosen, v);
  }
  return chosen;
}

Interpreter::Flow Interpreter::loop(const Stmt& s) {
  const List& items = loop_items(s);
  const Scope scope(*this, frame_);
  if (items.items.empty()) return run(s.bodies[1]);
  ++loop_depth_;
  const Flow flow = iterate_over(s, items);
  --loop_depth_;
  return flow;
}

Interpreter::Flow Interpreter::iterate_over(const Stmt& s, const List& items) {
  Loop& state = rt_.loop(items, loop_depth_);
  // By index: the body may append to the list.
  for (std::size_t i = 0; i < items.items.size(); ++i) {
    rt_.step();
    state.index = i;
    frame_->names.clear();  // what an iteration sets does not reach the next one
    frame_->set("loop", &state);
    const Value v = items.items[i];
    assign(s.exprs[0], v);
    if (run(s.bodies[0]) == Flow::break_loop) break;
  }
  return Flow::next;
}

void Interpreter::assign(const Expr& target, const Value& value) {
  if (target.kind == ExprKind::name) {
    frame_->set(target.name, value);
  } else if (target.kind == ExprKind::attribute) {
    const Value object = evaluate(target.parts[0]);
    const auto* ns = std::get_if<Namespace*>(&object);
    if (!ns) rt_.fail("only attributes of a namespace can be set, not of a " + type_name(object));
    rt_.put((*ns)->attributes, rt_.text(target.name), value);
  } else {
    const List& values = iterate(rt_, value);
    const std::size_t n = target.parts.size(), found = values.items.size();
    if (n != found)
      rt_.fail(std::to_string(found) + " values cannot be assigned to " + std::to_string(n) + " names");
    for (std::size_t i = 0; i < n; ++i) {
      const Value v = values.items[i];
      assign(target.parts[i], v);
    }
  }
}

void Interpreter::capture(const Stmt& s) {
  Value text;
  {
    const Scope scope(*this, frame_);
    text = rt_.text(render(s.bodies[0]));
    if (s.exprs.size() > 1) {
      frame_->set(captured_name, text);
      text = to_text(rt_, evaluate(s.exprs[1]));
    }
  }
  assign(s.exprs[0], text);
}

void Interpreter::filter_block(const Stmt& s) {
  const Scope scope(*this, frame_);
  const Text text = rt_.text(render(s.bodies[0]));
  frame_->set(captured_name, text);
  print(*to_text(rt_, evaluate(s.exprs[0])));
}

void Interpreter::define_macro(const Stmt& s) { frame_->set(s.name, &rt_.macro(s, *frame_)); }

// ---- expressions

Value Interpreter::evaluate(const Expr& e) {
  const Nesting nesting(rt_, Nesting::syntax);
  rt_.line = e.line;
  rt_.step();
  switch (e.kind) {
    case ExprKind::constant:
      return e.value;
    case ExprKind::name:
      return name(e);
    case ExprKind::list:
    case ExprKind::tuple:
      return collection(e);
    case ExprKind::dict:
      return dict(e);
    case ExprKind::any_of:
    case ExprKind::all_of:
      return logic(e);
    case ExprKind::compare:
      return comparison(e);
    case ExprKind::arithmetic:
      return arithmetic_chain(e);
    case ExprKind::concat:
      return concat(e);
    case ExprKind::slice:
      return slice_of(e);
    case ExprKind::call:
      return call_expression(e);
    case ExprKind::conditional:
      return evaluate(e.parts[truth(evaluate(e.parts[0])) ? 1 : 2]);
    default:
      return evaluate_parts(e);
  }
}

// The kinds that work on the value of their first part.
Value Interpreter::evaluate_parts(const Expr& e) {
  const Value first = evaluate(e.parts[0]);
  switch (e.kind) {
    case ExprKind::attribute:
      return attribute(rt_, first, e.name);
    case ExprKind::index: {
      const Value found = item(rt_, first, evaluate(e.parts[1]));
      const Marked* key = as_text(e.parts[1].value);
      return is_undefined(found) && key ? Undefined{key->text} : found;
    }
    case ExprKind::filter:
      return filtered(e, first);
    case ExprKind::test:
      return call_test(rt_, e.name, first, arguments(e));
    case ExprKind::negation:
      return !truth(first);
    case ExprKind::minus:
      return negative(rt_, first);
    default:
      return arithmetic(rt_, Operator::add, std::int64_t{0}, first);  // unary plus
  }
}

Value Interpreter::name(const Expr& e) {
  if (const Value* found = frame_->find(e.name)) return *found;
  if (const Function* function = find_global(e.name)) return Builtin{function->name};
  return Undefined{e.name};
}

Value Interpreter::collection(const Expr& e) {
  List& list = rt_.list(e.kind == ExprKind::list ? ListKind::list : ListKind::tuple);
  for (const Expr& part : e.parts) rt_.push(list, evaluate(part));
  return &list;
}

Value Interpreter::dict(const Expr& e) {
  Dict& dict = rt_.dict();
  for (std::size_t i = 0; i < e.parts.size(); i += 2) {
    const Value key = evaluate(e.parts[i]);
    rt_.put(dict, key, evaluate(e.parts[i + 1]));
  }
  return &dict;
}

// "and" and "or" give the operand that decided.
Value Interpreter::logic(const Expr& e) {
  Value last;
  for (const Expr& part : e.parts) {
    last = evaluate(part);
    if (truth(last) == (e.kind == ExprKind::any_of)) break;
  }
  return last;
}

Value Interpreter::comparison(const Expr& e) {
  Value left = evaluate(e.parts[0]);
  for (std::size_t i = 0; i < e.operators.size(); ++i) {
    Value right = evaluate(e.parts[i + 1]);
    if (!relation(rt_, e.operators[i], left, right)) return false;
    left = std::move(right);
  }
  return true;
}

Value Interpreter::arithmetic_chain(const Expr& e) {
  Value result = evaluate(e.parts[0]);
  for (std::size_t i = 0; i < e.operators.size(); ++i)
    result = arithmetic(rt_, e.operators[i], result, evaluate(e.parts[i + 1]));
  return result;
}

Value Interpreter::concat(const Expr& e) {
  // Joined only when all parts are known: until then they are charged, which the sum would not be.
  std::vector<Text> parts;
  for (const Expr& part : e.parts) parts.push_back(to_text(rt_, evaluate(part)));
  Marked result;
  for (const Text& part : parts) {
    append(result, *part);
    rt_.check_length(result.text.size());
  }
  return rt_.text(std::move(result));
}

Value Interpreter::slice_of(const Expr& e) {
  const Value object = evaluate(e.parts[0]);
  const Value bounds[3] = {evaluate(e.parts[1]), evaluate(e.parts[2]), evaluate(e.parts[3])};
  return slice(rt_, object, bounds);
}

// ---- calls

Args Interpreter::arguments(const Expr& e) {
  Args args;
  for (std::size_t i = 1; i < e.parts.size(); ++i) args.values.push_back(evaluate(e.parts[i]));
  args.keywords.assign(e.keywords.begin(), e.keywords.end());
  return args;
}

Value Interpreter::filtered(const Expr& e, const Value& input) {
  Args args = arguments(e);
  rt_.line = e.line;
  return call_filter(rt_, e.name, input, std::move(args));
}

Value Interpreter::call_expression(const Expr& e) {
  const Expr& callee = e.parts[0];
  if (callee.kind != ExprKind::attribute) {
    const Value function = evaluate(callee);
    return call_value(function, arguments(e));
  }
  const Value object = evaluate(callee.parts[0]);
  if (const Function* method = find_method(object, callee.name))
    return call(rt_, *method, object, arguments(e));
  const Value function = attribute(rt_, object, callee.name);
  return call_value(function, arguments(e));
}

Value Interpreter::call_value(const Value& callee, const Args& args) {
  if (is_undefined(callee)) fail_undefined(rt_, callee);
  if (const auto* macro = std::get_if<const Macro*>(&callee)) return call_macro(**macro, args);
  const auto* builtin = std::get_if<Builtin>(&callee);
  const Function* global = builtin ? find_global(builtin->name) : nullptr;
  if (builtin && !global)
    rt_.fail("the method " + std::string(builtin->name) + " must be called where it is named");
  if (!global) rt_.fail("a " + type_name(callee) + " cannot be called");
  return call(rt_, *global, None{}, args);
}

// Missing arguments get their default value, computed in the macro's scope, or are undefined.
Value Interpreter::call_macro(const Macro& macro, const Args& args) {
  const Nesting nesting(rt_, Nesting::call);
  const Stmt& s = *macro.definition;
  const auto n = static_cast<std::size_t>(s.n_parameters);
  if (args.n_positional() > n)
    rt_.fail("macro " + s.name + " takes at most " + std::to_string(n) + " arguments");
  const Scope scope(*this, macro.scope);
  const std::size_t first_default = n - (s.exprs.size() - n);
  std::size_t n_named = 0;
  for (std::size_t i = 0; i < n; ++i) {
    rt_.step();
    const std::string& parameter = s.exprs[i].name;
    const Value* named = args.named(parameter);
    if (named && i < args.n_positional()) rt_.fail("macro " + s.name + " gets '" + parameter + "' twice");
    if (named) ++n_named;
    Value value = Undefined{parameter};
    if (i < args.n_positional())
      value = args.values[i];
    else if (named)
      value = *named;
    else if (i >= first_default)
      value = evaluate(s.exprs[n + i - first_default]);
    frame_->set(parameter, std::move(value));
  }
  if (n_named < args.keywords.size()) rt_.fail("macro " + s.name + " gets an argument that it does not have");
  const int outer_depth = std::exchange(loop_depth_, 0);
  Text text = rt_.text(render(s.bodies[0]));
  loop_depth_ = outer_depth;
  return text;
}

}  // namespace coterie::text::jinja
