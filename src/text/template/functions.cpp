#include "text/template/functions.h"

#include "text/template/operations.h"

#include <string>
#include <utility>

namespace coterie::text::jinja {

const Value& Args::operator[](std::size_t i) const {
  static const Value absent = Undefined{};
  return i < values.size() ? values[i] : absent;
}

const Value* Args::named(std::string_view keyword) const {
  for (std::size_t i = 0; i < keywords.size(); ++i)
    if (keywords[i] == keyword) return &values[n_positional() + i];
  return nullptr;
}

const Function* find_filter(std::string_view name) {
  for (const std::span<const Function> table : {text_filters(), sequence_filters()})
    for (const Function& f : table)
      if (f.name == name) return &f;
  return nullptr;
}

namespace {

std::vector<std::string_view> words(std::string_view s) {
  std::vector<std::string_view> result;
  while (!s.empty()) {
    const std::size_t end = std::min(s.find(' '), s.size());
    result.push_back(s.substr(0, end));
    s.remove_prefix(std::min(end + 1, s.size()));
  }
  return result;
}

}  // namespace

Value call(Runtime& rt, const Function& function, const Value& self, Args args) {
  if (function.parameters == "*") return function.call(rt, self, args);
  const std::vector<std::string_view> parameters = words(function.parameters);
  const std::string name(function.name);
  const std::size_t n_positional = args.n_positional();
  if (n_positional > parameters.size())
    rt.fail(name + " takes " + std::to_string(parameters.size()) + " arguments, not " +
            std::to_string(n_positional));
  Args bound{std::vector<Value>(args.values.begin(),
                                args.values.begin() + static_cast<std::ptrdiff_t>(n_positional)),
             {}};
  bound.values.resize(parameters.size());
  for (std::size_t i = 0; i < args.keywords.size(); ++i) {
    std::size_t at = 0;
    while (at < parameters.size() && parameters[at] != args.keywords[i]) ++at;
    if (at == parameters.size() || at < n_positional)
      rt.fail(name + " takes no argument '" + std::string(args.keywords[i]) + "' here");
    bound.values[at] = args.values[n_positional + i];
  }
  return function.call(rt, self, bound);
}

Value call_filter(Runtime& rt, std::string_view name, const Value& self, Args args) {
  const Function* filter = find_filter(name);
  if (!filter) rt.fail("there is no filter '" + std::string(name) + "'");
  return call(rt, *filter, self, std::move(args));
}

bool call_test(Runtime& rt, std::string_view name, const Value& self, Args args) {
  const Function* test = find_test(name);
  if (!test) rt.fail("there is no test '" + std::string(name) + "'");
  return truth(call(rt, *test, self, std::move(args)));
}

std::int64_t int_argument(Runtime& rt, const Value& v, std::int64_t absent) {
  if (is_undefined(v)) return absent;
  if (!as_int(v)) rt.fail("an argument must be an int, not a " + type_name(v));
  return *as_int(v);
}

const Marked& text_argument(Runtime& rt, const Value& v) {
  if (!as_text(v)) rt.fail("an argument must be a str, not a " + type_name(v));
  return *as_text(v);
}

}  // namespace coterie::text::jinja
