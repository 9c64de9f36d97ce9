#include "text/template/value.h"

#include "text/template/marked_ops.h"
#include "text/template/runtime.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace coterie::text::jinja {

const Value* Frame::find(std::string_view name) const {
  for (const Frame* frame = this; frame; frame = frame->parent)
    for (const auto& [known, value] : frame->names)
      if (known == name) return &value;
  return nullptr;
}

void Frame::set(std::string_view name, Value value) {
  for (auto& [known, old] : names)
    if (known == name) {
      old = std::move(value);
      return;
    }
  names.emplace_back(name, std::move(value));
}

bool is_undefined(const Value& v) { return std::holds_alternative<Undefined>(v); }
bool is_none(const Value& v) { return std::holds_alternative<None>(v); }

const Marked* as_text(const Value& v) {
  const Text* text = std::get_if<Text>(&v);
  return text ? text->get() : nullptr;
}

std::optional<std::int64_t> as_int(const Value& v) {
  if (const bool* b = std::get_if<bool>(&v)) return *b;
  if (const std::int64_t* i = std::get_if<std::int64_t>(&v)) return *i;
  return std::nullopt;
}

std::optional<double> as_number(const Value& v) {
  if (const double* d = std::get_if<double>(&v)) return *d;
  if (const auto i = as_int(v)) return static_cast<double>(*i);
  return std::nullopt;
}

List* as_sequence(const Value& v) {
  List* const* list = std::get_if<List*>(&v);
  const bool indexed = list && ((*list)->kind == ListKind::list || (*list)->kind == ListKind::tuple ||
                                (*list)->kind == ListKind::range);
  return indexed ? *list : nullptr;
}

std::string type_name(const Value& v) {
  static const char* const names[] = {"undefined value", "NoneType",    "bool",  "int",
                                      "float",           "str",         "list",  "dict",
                                      "namespace",       "loop object", "macro", "function"};
  static const char* const list_names[] = {"list",      "tuple",       "range",     "generator",
                                           "dict_keys", "dict_values", "dict_items"};
  static_assert(std::size(names) == std::variant_size_v<Value>);
  if (const auto* list = std::get_if<List*>(&v)) return list_names[static_cast<int>((*list)->kind)];
  return names[v.index()];
}

std::optional<std::int64_t> length(const Value& v) {
  if (const Marked* s = as_text(v)) return static_cast<std::int64_t>(count_code_points(s->text));
  if (const auto* dict = std::get_if<Dict*>(&v)) return static_cast<std::int64_t>((*dict)->items.size());
  if (const auto* loop = std::get_if<Loop*>(&v))
    return static_cast<std::int64_t>((*loop)->items->items.size());
  if (is_undefined(v)) return 0;
  const auto* list = std::get_if<List*>(&v);
  if (!list || (*list)->kind == ListKind::generator) return std::nullopt;
  return static_cast<std::int64_t>((*list)->items.size());
}

bool truth(const Value& v) {
  if (const auto number = as_number(v)) return *number != 0;
  if (const Marked* s = as_text(v)) return !s->text.empty();
  if (is_undefined(v) || is_none(v)) return false;
  const auto size = length(v);
  return !size || *size > 0;
}

// ---- equality and order

namespace {

// List and tuple never equal each other; the other kinds of lists are compared by what they hold.
bool equal_lists(Runtime& rt, const List& a, const List& b) {
  if (a.kind != b.kind || a.items.size() != b.items.size()) return false;
  const Nesting nesting(rt, Nesting::data);
  for (std::size_t i = 0; i < a.items.size() && i < b.items.size(); ++i)
    if (!equal(rt, a.items[i], b.items[i])) return false;
  return true;
}

bool equal_dicts(Runtime& rt, const Dict& a, const Dict& b) {
  if (a.items.size() != b.items.size()) return false;
  const Nesting nesting(rt, Nesting::data);
  for (const auto& [key, value] : a.items) {
    const Value* other = find(rt, b, key);
    if (!other || !equal(rt, value, *other)) return false;
  }
  return true;
}

}  // namespace

bool equal(Runtime& rt, const Value& a, const Value& b) {
  rt.step();
  if (as_int(a) && as_int(b)) return *as_int(a) == *as_int(b);
  if (as_number(a) && as_number(b)) return *as_number(a) == *as_number(b);
  if (a.index() != b.index()) return false;
  if (const Marked* s = as_text(a)) {
    rt.work(s->text.size());
    return s->text == as_text(b)->text;
  }
  if (const auto* list = std::get_if<List*>(&a)) return equal_lists(rt, **list, *std::get<List*>(b));
  if (const auto* dict = std::get_if<Dict*>(&a)) return equal_dicts(rt, **dict, *std::get<Dict*>(b));
  if (const auto* ns = std::get_if<Namespace*>(&a)) return *ns == std::get<Namespace*>(b);
  if (const auto* loop = std::get_if<Loop*>(&a)) return *loop == std::get<Loop*>(b);
  if (const auto* macro = std::get_if<const Macro*>(&a)) return *macro == std::get<const Macro*>(b);
  if (const auto* builtin = std::get_if<Builtin>(&a)) return builtin->name == std::get<Builtin>(b).name;
  return true;  // undefined or none on both sides
}

int compare(Runtime& rt, const Value& a, const Value& b) {
  rt.step();
  const auto order = [](const auto& x, const auto& y) { return x < y ? -1 : y < x ? 1 : 0; };
  if (as_int(a) && as_int(b)) return order(*as_int(a), *as_int(b));
  if (as_number(a) && as_number(b)) return order(*as_number(a), *as_number(b));
  const Marked *s = as_text(a), *t = as_text(b);
  if (s && t) {
    rt.work(s->text.size());
    return order(s->text, t->text);  // UTF-8 sorts as code points do
  }
  const List *x = as_sequence(a), *y = as_sequence(b);
  if (!x || !y || x->kind != y->kind || x->kind == ListKind::range)
    rt.fail("there is no order between " + type_name(a) + " and " + type_name(b));
  const Nesting nesting(rt, Nesting::data);
  for (std::size_t i = 0; i < x->items.size() && i < y->items.size(); ++i)
    if (!equal(rt, x->items[i], y->items[i])) return compare(rt, x->items[i], y->items[i]);
  return order(x->items.size(), y->items.size());
}

bool contains(Runtime& rt, const Value& container, const Value& item) {
  if (const Marked* s = as_text(container)) {
    const Marked* what = as_text(item);
    if (!what) rt.fail("'in' needs a str on the left of a str, not " + type_name(item));
    rt.work(s->text.size());
    return find_text(s->text, what->text) != std::string::npos;
  }
  if (const auto* dict = std::get_if<Dict*>(&container)) return find(rt, **dict, item) != nullptr;
  if (is_undefined(container)) return false;
  if (!std::holds_alternative<List*>(container)) rt.fail("nothing can be 'in' a " + type_name(container));
  for (const Value& v : std::get<List*>(container)->items)
    if (equal(rt, v, item)) return true;
  return false;
}

const List& iterate(Runtime& rt, const Value& v) {
  if (const auto* list = std::get_if<List*>(&v)) return **list;
  List& items = rt.list(ListKind::generator);
  if (const auto* dict = std::get_if<Dict*>(&v)) {
    for (const auto& entry : (*dict)->items) rt.push(items, entry.first);
  } else if (const Marked* s = as_text(v)) {
    for (std::size_t at = 0, bytes = 0; at < s->text.size(); at += bytes) {
      bytes = code_point(s->text, at).bytes;
      rt.push(items, rt.text(slice(*s, at, at + bytes)));
    }
  } else if (!is_undefined(v)) {
    rt.fail("a " + type_name(v) + " has no items to walk through");
  }
  return items;
}

// ---- text

namespace {

// As Python's repr: the shortest digits that read back, positional from 1e-4 to below 1e16.
std::string float_text(double d) {
  if (std::isnan(d)) return "nan";
  if (std::isinf(d)) return d < 0 ? "-inf" : "inf";
  char digits[64];
  const double size = std::abs(d);
  const bool positional = size == 0 || (size >= 1e-4 && size < 1e16);
  const auto end = std::to_chars(digits, digits + sizeof digits, d,
                                 positional ? std::chars_format::fixed : std::chars_format::scientific);
  std::string text(digits, end.ptr);
  if (positional && text.find('.') == std::string::npos) text += ".0";
  return text;
}

std::string escape(char32_t c) {
  if (c == '\n') return "\\n";
  if (c == '\r') return "\\r";
  if (c == '\t') return "\\t";
  char buffer[16];
  std::snprintf(buffer, sizeof buffer,
                c < 0x100     ? "\\x%02x"
                : c < 0x10000 ? "\\u%04x"
                              : "\\U%08x",
                static_cast<unsigned>(c));
  return buffer;
}

void write_string(Runtime& rt, const Marked& s, Marked& to) {
  rt.work(s.text.size());
  const bool has_single = s.text.find('\'') != std::string::npos;
  const char quote = has_single && s.text.find('"') == std::string::npos ? '"' : '\'';
  append(to, std::string_view(&quote, 1));
  std::size_t plain = 0, bytes = 0;  // start of the run that needs no escape
  for (std::size_t at = 0; at < s.text.size(); at += bytes) {
    const CodePoint c = code_point(s.text, at);
    bytes = c.bytes;
    const bool quoted = c.value == static_cast<unsigned char>(quote) || c.value == '\\';
    if (!quoted && is_printable(c.value)) continue;
    append(to, s, plain, at);
    append_as(to, quoted ? std::string("\\") + s.text[at] : escape(c.value), s, at, at + bytes);
    plain = at + bytes;
  }
  append(to, s, plain, s.text.size());
  append(to, std::string_view(&quote, 1));
}

void write_list(Runtime& rt, const List& list, Marked& to) {
  const bool view = list.kind >= ListKind::generator;
  if (view || list.kind == ListKind::range) append(to, type_name(const_cast<List*>(&list)) + "(");
  const bool tuple = list.kind == ListKind::tuple;
  append(to, tuple ? "(" : "[");
  for (std::size_t i = 0; i < list.items.size(); ++i) {
    if (i > 0) append(to, ", ");
    write_repr(rt, list.items[i], to);
  }
  append(to, tuple ? (list.items.size() == 1 ? ",)" : ")") : "]");
  if (view || list.kind == ListKind::range) append(to, ")");
}

void write_dict(Runtime& rt, const Dict& dict, Marked& to) {
  append(to, "{");
  for (std::size_t i = 0; i < dict.items.size(); ++i) {
    if (i > 0) append(to, ", ");
    write_repr(rt, dict.items[i].first, to);
    append(to, ": ");
    write_repr(rt, dict.items[i].second, to);
  }
  append(to, "}");
}

}  // namespace

std::string number_text(const Value& v) {
  if (const bool* b = std::get_if<bool>(&v)) return *b ? "True" : "False";
  if (const auto i = as_int(v)) return std::to_string(*i);
  if (const double* d = std::get_if<double>(&v)) return float_text(*d);
  return "None";
}

void write_repr(Runtime& rt, const Value& v, Marked& to) {
  rt.step();
  rt.check_length(to.text.size());
  const Nesting nesting(rt, Nesting::data);
  if (const Marked* s = as_text(v)) return write_string(rt, *s, to);
  if (const auto* list = std::get_if<List*>(&v)) return write_list(rt, **list, to);
  if (const auto* dict = std::get_if<Dict*>(&v)) return write_dict(rt, **dict, to);
  if (const auto* ns = std::get_if<Namespace*>(&v)) {
    append(to, "<Namespace ");
    write_dict(rt, (*ns)->attributes, to);
    return append(to, ">");
  }
  if (is_undefined(v)) return append(to, "Undefined");
  append(to, as_number(v) || is_none(v) ? number_text(v) : "<" + type_name(v) + ">");
}

Text to_text(Runtime& rt, const Value& v) {
  if (const Text* text = std::get_if<Text>(&v)) return *text;
  Marked result;
  if (!is_undefined(v)) write_repr(rt, v, result);
  return rt.text(std::move(result));
}

}  // namespace coterie::text::jinja
