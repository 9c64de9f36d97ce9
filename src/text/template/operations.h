// What operators, subscripts and dots do, with Python's rules for types.
#pragma once

#include "text/template/ast.h"
#include "text/template/runtime.h"

namespace coterie::text::jinja {

Value arithmetic(Runtime& rt, Operator op, const Value& a, const Value& b);
bool relation(Runtime& rt, Operator op, const Value& a, const Value& b);
Value negative(Runtime& rt, const Value& v);

// v.name: a method's name comes before an entry of a dictionary. v[key]: the other way round. Undefined when
// there is neither.
Value attribute(Runtime& rt, const Value& v, std::string_view name);
Value item(Runtime& rt, const Value& v, const Value& key);
Value slice(Runtime& rt, const Value& v, const Value (&bounds)[3]);  // start, stop, step

[[noreturn]] void fail_undefined(Runtime& rt, const Value& v);

}  // namespace coterie::text::jinja
