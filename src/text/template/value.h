// Values of the template language, with Python's meaning of truth, equality, order and text.
//
// Strings are immutable, shared, and carry their marks. Lists, dictionaries and the other containers may
// refer to each other in circles, so they belong to the Runtime, which frees them together when the rendering
// ends.
#pragma once

#include "text/marked.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace coterie::text::jinja {

class Runtime;
struct Stmt;
struct List;
struct Dict;
struct Namespace;
struct Loop;
struct Macro;

struct Undefined {
  std::string_view name;  // as the template spells it, may be empty; refers into the syntax tree
};
struct None {};
// A function or method of the engine that was named but not called.
struct Builtin {
  std::string_view name;
};
using Text = std::shared_ptr<const Marked>;
using Value = std::variant<Undefined, None, bool, std::int64_t, double, Text, List*, Dict*, Namespace*, Loop*,
                           const Macro*, Builtin>;

// list, tuple and range have a length and an index; the others can only be walked through.
enum class ListKind { list, tuple, range, generator, dict_keys, dict_values, dict_items };

struct List {
  ListKind kind;
  std::vector<Value> items;
};

struct Dict {
  std::vector<std::pair<Value, Value>> items;          // in order of insertion
  std::unordered_map<std::string, std::size_t> index;  // key_of() -> position in items
};

struct Namespace {
  Dict attributes;
};

struct Loop {
  const List* items;
  std::size_t index;
  int depth;  // of loops in loops, from 1
};

// The variables of one scope. A name that is missing is looked up in the parent.
struct Frame {
  Frame* parent = nullptr;
  std::vector<std::pair<std::string_view, Value>> names;  // names refer into the syntax tree or the variables

  const Value* find(std::string_view name) const;  // this scope and its parents; nullptr: none
  void set(std::string_view name, Value value);    // in this scope
};

struct Macro {
  const Stmt* definition;
  Frame* scope;  // where it was defined
};

bool is_undefined(const Value& v);
bool is_none(const Value& v);
const Marked* as_text(const Value& v);               // nullptr: not a string
std::optional<std::int64_t> as_int(const Value& v);  // bool or int
std::optional<double> as_number(const Value& v);     // bool, int or float
List* as_sequence(const Value& v);                   // list, tuple or range; else nullptr
std::string type_name(const Value& v);               // as Python calls it

bool truth(const Value& v);
bool equal(Runtime& rt, const Value& a, const Value& b);
// < 0, 0, > 0; fails for types that have no order between them.
int compare(Runtime& rt, const Value& a, const Value& b);
bool contains(Runtime& rt, const Value& container, const Value& item);

// The items of anything that can be walked through: a list's own, a dictionary's keys, a string's characters.
const List& iterate(Runtime& rt, const Value& v);
std::optional<std::int64_t> length(const Value& v);  // none: the type has no length

// An entry, or nullptr. The key decides as in Python: 1, 1.0 and True are one key.
const Value* find(Runtime& rt, const Dict& dict, const Value& key);
const Value* find(const Dict& dict, std::string_view key);

Text to_text(Runtime& rt, const Value& v);  // str(v)
// repr(v); fails when the result would be longer than the limit, whatever the depth of sharing.
void write_repr(Runtime& rt, const Value& v, Marked& to);
std::string number_text(const Value& v);  // of bool, int, float and None, as str() writes them

}  // namespace coterie::text::jinja
