// Filters over lists, dictionaries and everything else that can be walked through.
#include "text/template/functions.h"
#include "text/template/marked_ops.h"
#include "text/template/operations.h"

#include <algorithm>
#include <charconv>

namespace coterie::text::jinja {

namespace {

// "a.b.0" of a value: entries and indices one after another.
Value path(Runtime& rt, const Value& v, const Value& name) {
  if (const auto index = as_int(name)) return item(rt, v, *index);
  Value at = v;
  split(text_argument(rt, name), ".", -1, [&](Marked part) {
    std::int64_t index = 0;
    const char* end = part.text.data() + part.text.size();
    const auto read = std::from_chars(part.text.data(), end, index);
    const bool is_index =
        !part.text.empty() && part.text[0] != '-' && read.ec == std::errc() && read.ptr == end;
    at = item(rt, at, is_index ? Value(index) : Value(rt.text(std::move(part))));
  });
  return at;
}

Args rest(const Args& args, std::size_t first) {
  Args result;
  result.keywords = args.keywords;
  result.values.assign(args.values.begin() + static_cast<std::ptrdiff_t>(std::min(first, args.values.size())),
                       args.values.end());
  return result;
}

Value map(Runtime& rt, const Value& self, const Args& args) {
  List& result = rt.list(ListKind::generator);
  const Value* name = args.named("attribute");
  if (!name && args.n_positional() == 0) rt.fail("map needs the name of a filter or an attribute");
  for (const Value& v : iterate(rt, self).items) {
    rt.step();
    if (!name) {
      rt.push(result, call_filter(rt, text_argument(rt, args[0]).text, v, rest(args, 1)));
      continue;
    }
    const Value found = path(rt, v, *name);
    const Value* absent = args.named("default");
    rt.push(result, is_undefined(found) && absent ? *absent : found);
  }
  return &result;
}

struct Selection {
  bool by_attribute, keep;
};

Value select(Runtime& rt, const Value& self, const Args& args, Selection how) {
  List& result = rt.list(ListKind::generator);
  const std::size_t first = how.by_attribute ? 1 : 0;
  if (how.by_attribute && args.values.empty())
    rt.fail("selectattr and rejectattr need the name of an attribute");
  for (const Value& v : iterate(rt, self).items) {
    rt.step();
    const Value subject = how.by_attribute ? path(rt, v, args[0]) : v;
    const bool holds = args.values.size() > first ? call_test(rt, text_argument(rt, args[first]).text,
                                                              subject, rest(args, first + 1))
                                                  : truth(subject);
    if (holds == how.keep) rt.push(result, v);
  }
  return &result;
}

Value filter_select(Runtime& rt, const Value& self, const Args& args) {
  return select(rt, self, args, {false, true});
}
Value reject(Runtime& rt, const Value& self, const Args& args) {
  return select(rt, self, args, {false, false});
}
Value selectattr(Runtime& rt, const Value& self, const Args& args) {
  return select(rt, self, args, {true, true});
}
Value rejectattr(Runtime& rt, const Value& self, const Args& args) {
  return select(rt, self, args, {true, false});
}

Value first(Runtime& rt, const Value& self, const Args&) {
  const List& items = iterate(rt, self);
  return items.items.empty() ? Value(Undefined{}) : items.items.front();
}

Value last(Runtime& rt, const Value& self, const Args&) {
  const auto* list = std::get_if<List*>(&self);
  if (list && (*list)->kind == ListKind::generator) rt.fail("a generator has no last item");
  const List& items = iterate(rt, self);
  return items.items.empty() ? Value(Undefined{}) : items.items.back();
}

Value filter_length(Runtime& rt, const Value& self, const Args&) {
  const auto n = length(self);
  if (!n) rt.fail("a " + type_name(self) + " has no length");
  if (const Marked* s = as_text(self)) rt.work(s->text.size());
  return *n;
}

Value list(Runtime& rt, const Value& self, const Args&) {
  List& copy = rt.list();
  for (const Value& v : iterate(rt, self).items) rt.push(copy, v);
  return &copy;
}

Value pair(Runtime& rt, const Value& a, const Value& b) {
  List& tuple = rt.list(ListKind::tuple);
  rt.push(tuple, a);
  rt.push(tuple, b);
  return &tuple;
}

Value items(Runtime& rt, const Value& self, const Args&) {
  List& result = rt.list(ListKind::generator);
  const auto* dict = std::get_if<Dict*>(&self);
  if (!dict && !is_undefined(self)) rt.fail("items needs a dict, not a " + type_name(self));
  if (dict)
    for (const auto& [key, value] : (*dict)->items) rt.push(result, pair(rt, key, value));
  return &result;
}

Value filter_join(Runtime& rt, const Value& self, const Args& args) {
  const Text separator = to_text(rt, args[0]);
  if (!args.has(1)) return join(rt, iterate(rt, self), *separator, false);
  List& parts = rt.list();
  for (const Value& v : iterate(rt, self).items) rt.push(parts, path(rt, v, args[1]));
  return join(rt, parts, *separator, false);
}

Value reverse(Runtime& rt, const Value& self, const Args&) {
  if (as_text(self)) return slice(rt, self, {None{}, None{}, std::int64_t{-1}});
  List& result = rt.list(ListKind::generator);
  for (const Value& v : iterate(rt, self).items) rt.push(result, v);
  std::reverse(result.items.begin(), result.items.end());
  return &result;
}

// ---- order

struct Keyed {
  Value key, value;
};

// What a value is sorted by: itself or an attribute, small letters and capitals being the same unless told
// otherwise.
Value sort_key(Runtime& rt, const Value& v, const Value& attribute_name, bool case_sensitive) {
  const Value key = is_undefined(attribute_name) || is_none(attribute_name) ? v : path(rt, v, attribute_name);
  return as_text(key) && !case_sensitive ? Value(rt.text(change_case(*as_text(key), Case::lower))) : key;
}

void sort_by_key(Runtime& rt, std::vector<Keyed>& items, bool down) {
  std::stable_sort(items.begin(), items.end(), [&](const Keyed& a, const Keyed& b) {
    return down ? compare(rt, a.key, b.key) > 0 : compare(rt, a.key, b.key) < 0;
  });
}

// Every value with its key; what Keyed takes is charged until the list of results has been.
std::vector<Keyed> keyed(Runtime& rt, const List& values, const Value& attribute_name, bool case_sensitive) {
  std::vector<Keyed> result;
  rt.charge(static_cast<std::int64_t>(values.items.size() * sizeof(Keyed)));
  for (const Value& v : values.items) result.push_back({sort_key(rt, v, attribute_name, case_sensitive), v});
  return result;
}

Value values_of(Runtime& rt, const std::vector<Keyed>& items, ListKind kind) {
  List& result = rt.list(kind);
  for (const Keyed& entry : items) rt.push(result, entry.value);
  rt.charge(-static_cast<std::int64_t>(items.size() * sizeof(Keyed)));
  return &result;
}

Value sort(Runtime& rt, const Value& self, const Args& args) {
  std::vector<Keyed> all = keyed(rt, iterate(rt, self), args[2], truth(args[1]));
  sort_by_key(rt, all, truth(args[0]));
  return values_of(rt, all, ListKind::list);
}

Value dictsort(Runtime& rt, const Value& self, const Args& args) {
  const bool by_value = args.has(1) && text_argument(rt, args[1]).text == "value";
  const Value pairs = items(rt, self, {});
  std::vector<Keyed> all = keyed(rt, *std::get<List*>(pairs), std::int64_t{by_value}, truth(args[0]));
  sort_by_key(rt, all, truth(args[2]));
  return values_of(rt, all, ListKind::list);
}

Value unique(Runtime& rt, const Value& self, const Args& args) {
  List& result = rt.list(ListKind::generator);
  Dict& seen = rt.dict();
  for (const Value& v : iterate(rt, self).items) {
    const Value key = sort_key(rt, v, args[1], truth(args[0]));
    if (find(rt, seen, key)) continue;
    rt.put(seen, key, true);
    rt.push(result, v);
  }
  return &result;
}

Value extreme(Runtime& rt, const Value& self, const Args& args, int sign) {
  const Keyed* best = nullptr;
  const std::vector<Keyed> all = keyed(rt, iterate(rt, self), args[1], truth(args[0]));
  for (const Keyed& entry : all)
    if (!best || sign * compare(rt, entry.key, best->key) > 0) best = &entry;
  return best ? best->value : Value(Undefined{});
}

Value smallest(Runtime& rt, const Value& self, const Args& args) { return extreme(rt, self, args, -1); }
Value largest(Runtime& rt, const Value& self, const Args& args) { return extreme(rt, self, args, 1); }

Value sum(Runtime& rt, const Value& self, const Args& args) {
  Value total = args.has(1) ? args[1] : Value(std::int64_t{0});
  for (const Value& v : iterate(rt, self).items)
    total = arithmetic(rt, Operator::add, total, args.has(0) ? path(rt, v, args[0]) : v);
  return total;
}

Value batch(Runtime& rt, const Value& self, const Args& args) {
  const std::int64_t n = int_argument(rt, args[0], 0);
  if (n < 1) rt.fail("batch needs a length of at least 1");
  List& result = rt.list(ListKind::generator);
  List* part = nullptr;
  for (const Value& v : iterate(rt, self).items) {
    if (!part || static_cast<std::int64_t>(part->items.size()) == n) rt.push(result, part = &rt.list());
    rt.push(*part, v);
  }
  while (part && args.has(1) && static_cast<std::int64_t>(part->items.size()) < n) rt.push(*part, args[1]);
  return &result;
}

constexpr Function table[] = {
    {"batch", "linecount fill_with", batch},
    {"count", "", filter_length},
    {"dictsort", "case_sensitive by reverse", dictsort},
    {"first", "", first},
    {"items", "", items},
    {"join", "d attribute", filter_join},
    {"last", "", last},
    {"length", "", filter_length},
    {"list", "", list},
    {"map", "*", map},
    {"max", "case_sensitive attribute", largest},
    {"min", "case_sensitive attribute", smallest},
    {"reject", "*", reject},
    {"rejectattr", "*", rejectattr},
    {"reverse", "", reverse},
    {"select", "*", filter_select},
    {"selectattr", "*", selectattr},
    {"sort", "reverse case_sensitive attribute", sort},
    {"sum", "attribute start", sum},
    {"unique", "case_sensitive attribute", unique},
};

}  // namespace

std::span<const Function> sequence_filters() { return table; }

}  // namespace coterie::text::jinja
