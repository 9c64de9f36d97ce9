// The functions that a template can name: filters, tests, methods and globals, each a line in a table.
#pragma once

#include "text/template/runtime.h"

#include <span>
#include <string_view>
#include <vector>

namespace coterie::text::jinja {

// The arguments of a call: first the positional ones, then those named by keywords.
struct Args {
  std::vector<Value> values;
  std::vector<std::string_view> keywords;

  std::size_t n_positional() const { return values.size() - keywords.size(); }
  const Value& operator[](std::size_t i) const;  // undefined where absent
  bool has(std::size_t i) const { return i < values.size() && !is_undefined(values[i]); }
  const Value* named(std::string_view keyword) const;
};

struct Function {
  std::string_view name;
  std::string_view parameters;  // separated by spaces; "*": takes the arguments as they come
  Value (*call)(Runtime& rt, const Value& self, const Args& args);
};

const Function* find_filter(std::string_view name);
const Function* find_test(std::string_view name);  // returns bools
const Function* find_method(const Value& self, std::string_view name);
const Function* find_global(std::string_view name);

// Puts the arguments in the order of the parameters and calls. Fails for one too many and for an unknown
// name.
Value call(Runtime& rt, const Function& function, const Value& self, Args args);
Value call_filter(Runtime& rt, std::string_view name, const Value& self, Args args);
bool call_test(Runtime& rt, std::string_view name, const Value& self, Args args);

// Readers of arguments that fail with the function's view of what is wrong.
std::int64_t int_argument(Runtime& rt, const Value& v, std::int64_t absent);
const Marked& text_argument(Runtime& rt, const Value& v);

// "..." % v, and the filter format.
Value format_percent(Runtime& rt, const Marked& format, const Value& v);
Value join(Runtime& rt, const List& parts, const Marked& separator, bool only_strings);
Value replace(Runtime& rt, const Marked& s, const Marked& old, const Marked& fresh, std::int64_t limit);

// The tables, by file.
std::span<const Function> text_filters();
std::span<const Function> sequence_filters();

}  // namespace coterie::text::jinja
