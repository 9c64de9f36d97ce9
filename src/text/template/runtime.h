// One rendering: the limits, what has been used of them, and the owner of all containers.
#pragma once

#include "text/template/limits.h"
#include "text/template/value.h"

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

namespace coterie::text::jinja {

class Runtime {
 public:
  explicit Runtime(const TemplateLimits& limits);
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  const TemplateLimits& limits() const { return limits_; }
  int line = 1;  // of the expression or statement at work
  [[noreturn]] void fail(const std::string& what) const;

  void step();                                   // one expression, statement or element
  void work(std::size_t bytes);                  // bytes that an operation reads or writes
  void charge(std::int64_t bytes);               // memory that comes alive; negative: that goes
  void check_length(std::uint64_t bytes) const;  // of a string that is about to be made

  Text text(Marked m);
  Text text(std::string_view own_text);
  List& list(ListKind kind = ListKind::list);
  Dict& dict();
  Namespace& new_namespace();
  Loop& loop(const List& items, int depth);
  const Macro& macro(const Stmt& definition, Frame& scope);
  Frame& frame(Frame* parent);

  void push(List& to, Value v);
  void put(Dict& to, const Value& key, Value v);

 private:
  friend class Nesting;
  const TemplateLimits limits_;
  const std::chrono::steady_clock::time_point deadline_;
  std::int64_t steps_ = 0, until_clock_ = 0, memory_ = 0;
  int nesting_ = 0;
  // After the counters: strings report to them when they go.
  std::deque<List> lists_;
  std::deque<Dict> dicts_;
  std::deque<Namespace> namespaces_;
  std::deque<Loop> loops_;
  std::deque<Macro> macros_;
  std::deque<Frame> frames_;
};

// Recursion of any kind. A macro call or a level of data weighs as much as eight levels of the syntax tree,
// so that one counter bounds the stack.
class Nesting {
 public:
  static constexpr int syntax = 1, data = 8, call = 8;
  Nesting(Runtime& rt, int weight);
  ~Nesting() { rt_.nesting_ -= weight_; }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;

 private:
  Runtime& rt_;
  const int weight_;
};

}  // namespace coterie::text::jinja
