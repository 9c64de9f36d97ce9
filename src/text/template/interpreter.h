// Runs a syntax tree.
#pragma once

#include "text/template/ast.h"
#include "text/template/functions.h"
#include "text/template/runtime.h"

namespace coterie::text::jinja {

class Interpreter {
 public:
  Interpreter(Runtime& rt, Frame& variables) : rt_(rt), frame_(&variables) {}

  Marked render(const std::vector<Stmt>& body);  // what the body prints

 private:
  enum class Flow { next, break_loop, continue_loop };
  Flow run(const std::vector<Stmt>& body);
  Flow run(const Stmt& s);
  Flow branch(const Stmt& s);
  Flow loop(const Stmt& s);
  Flow iterate_over(const Stmt& s, const List& items);
  void capture(const Stmt& s);
  void filter_block(const Stmt& s);
  void define_macro(const Stmt& s);
  const List& loop_items(const Stmt& s);
  void assign(const Expr& target, const Value& value);
  void print(const Marked& text);

  Value evaluate(const Expr& e);
  Value evaluate_parts(const Expr& e);
  Value name(const Expr& e);
  Value collection(const Expr& e);
  Value dict(const Expr& e);
  Value logic(const Expr& e);
  Value comparison(const Expr& e);
  Value arithmetic_chain(const Expr& e);
  Value concat(const Expr& e);
  Value slice_of(const Expr& e);
  Value call_expression(const Expr& e);
  Value call_value(const Value& callee, const Args& args);
  Value call_macro(const Macro& macro, const Args& args);
  Value filtered(const Expr& e, const Value& input);
  Args arguments(const Expr& e);

  // Another scope while it lives.
  class Scope {
   public:
    Scope(Interpreter& in, Frame* parent) : in_(in), outer_(in.frame_) { in.frame_ = &in.rt_.frame(parent); }
    ~Scope() { in_.frame_ = outer_; }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Interpreter& in_;
    Frame* outer_;
  };

  Runtime& rt_;
  Frame* frame_;
  Marked* output_ = nullptr;
  int loop_depth_ = 0;
};

}  // namespace coterie::text::jinja
