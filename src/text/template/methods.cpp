// Methods of strings, dictionaries, lists and loops.
#include "text/template/functions.h"
#include "text/template/marked_ops.h"

#include <algorithm>

namespace coterie::text::jinja {

namespace {

const Marked& text(const Value& self) { return *as_text(self); }

// ---- strings

Value strip(Runtime& rt, const Value& self, const Args& args, Side side) {
  if (!args.has(0) || is_none(args[0])) return rt.text(strip(text(self), side, nullptr));
  const std::string_view set = text_argument(rt, args[0]).text;
  return rt.text(strip(text(self), side, &set));
}

Value str_split(Runtime& rt, const Value& self, const Args& args, Side from) {
  List& parts = rt.list();
  const auto add = [&](Marked part) {
    rt.work(1024);
    rt.push(parts, rt.text(std::move(part)));
  };
  rt.work(text(self).text.size());
  const std::ptrdiff_t limit = std::max<std::int64_t>(int_argument(rt, args[1], -1), -1);
  if (!args.has(0) || is_none(args[0])) {
    if (from == Side::right && limit >= 0) rt.fail("rsplit at white space with a limit is not supported");
    split_space(text(self), limit, add);
    return &parts;
  }
  const std::string& separator = text_argument(rt, args[0]).text;
  if (separator.empty()) rt.fail("split needs a separator that is not empty");
  if (from == Side::left) {
    split(text(self), separator, limit, add);
  } else {
    split_right(text(self), separator, limit, add);
    std::reverse(parts.items.begin(), parts.items.end());
  }
  return &parts;
}

Value str_lines(Runtime& rt, const Value& self, const Args& args) {
  List& lines = rt.list();
  split_lines(text(self), truth(args[0]), [&](Marked line) { rt.push(lines, rt.text(std::move(line))); });
  return &lines;
}

bool has_at(const std::string& s, Side side, const std::string& what) {
  if (what.size() > s.size()) return false;
  return s.compare(side == Side::left ? 0 : s.size() - what.size(), what.size(), what) == 0;
}

// startswith and endswith: one text, or any of a tuple of them.
Value begins_or_ends(Runtime& rt, const Value& self, const Args& args, Side side) {
  const List* any_of = as_sequence(args[0]);
  if (!any_of) return has_at(text(self).text, side, text_argument(rt, args[0]).text);
  for (const Value& v : any_of->items)
    if (has_at(text(self).text, side, text_argument(rt, v).text)) return true;
  return false;
}

Value without(Runtime& rt, const Value& self, const Args& args, Side side) {
  const std::string& affix = text_argument(rt, args[0]).text;
  const Marked& s = text(self);
  if (!has_at(s.text, side, affix)) return self;
  const std::size_t begin = side == Side::left ? affix.size() : 0;
  return rt.text(slice(s, begin, begin + s.text.size() - affix.size()));
}

Value str_replace(Runtime& rt, const Value& self, const Args& args) {
  return replace(rt, text(self), text_argument(rt, args[0]), text_argument(rt, args[1]),
                 int_argument(rt, args[2], -1));
}

Value str_find(Runtime& rt, const Value& self, const Args& args) {
  const std::string& s = text(self).text;
  rt.work(s.size());
  const std::size_t at = find_text(s, text_argument(rt, args[0]).text);
  if (at == std::string::npos) return std::int64_t{-1};
  return static_cast<std::int64_t>(count_code_points(std::string_view(s).substr(0, at)));
}

Value str_count(Runtime& rt, const Value& self, const Args& args) {
  const std::string &s = text(self).text, &what = text_argument(rt, args[0]).text;
  rt.work(s.size());
  if (what.empty()) return static_cast<std::int64_t>(count_code_points(s)) + 1;
  std::int64_t count = 0;
  for (std::size_t at = find_text(s, what); at != std::string::npos;
       at = find_text(s, what, at + what.size()))
    ++count;
  return count;
}

Value is_digit(Runtime&, const Value& self, const Args&) {
  const std::string& s = text(self).text;
  return !s.empty() && std::all_of(s.begin(), s.end(), [](char c) { return c >= '0' && c <= '9'; });
}

Value is_space(Runtime&, const Value& self, const Args&) {
  const std::string& s = text(self).text;
  return !s.empty() && skip_space(s, 0) == s.size();
}

Value str_join(Runtime& rt, const Value& self, const Args& args) {
  return join(rt, iterate(rt, args[0]), text(self), true);
}

template <Case how>
Value in_case(Runtime& rt, const Value& self, const Args&) {
  return rt.text(change_case(text(self), how));
}

// Turns a function with a side into one for the table.
template <Value (*f)(Runtime&, const Value&, const Args&, Side), Side side>
Value sided(Runtime& rt, const Value& self, const Args& args) {
  return f(rt, self, args, side);
}

constexpr Function str_methods[] = {
    {"capitalize", "", in_case<Case::capitalize>},
    {"count", "sub", str_count},
    {"endswith", "suffix", sided<begins_or_ends, Side::right>},
    {"find", "sub", str_find},
    {"isdigit", "", is_digit},
    {"isspace", "", is_space},
    {"join", "iterable", str_join},
    {"lower", "", in_case<Case::lower>},
    {"lstrip", "chars", sided<strip, Side::left>},
    {"removeprefix", "prefix", sided<without, Side::left>},
    {"removesuffix", "suffix", sided<without, Side::right>},
    {"replace", "old new count", str_replace},
    {"rsplit", "sep maxsplit", sided<str_split, Side::right>},
    {"rstrip", "chars", sided<strip, Side::right>},
    {"split", "sep maxsplit", sided<str_split, Side::left>},
    {"splitlines", "keepends", str_lines},
    {"startswith", "prefix", sided<begins_or_ends, Side::left>},
    {"strip", "chars", sided<strip, Side::both>},
    {"title", "", in_case<Case::title>},
    {"upper", "", in_case<Case::upper>},
};

// ---- dictionaries

const Dict& dict(const Value& self) { return *std::get<Dict*>(self); }

Value dict_items(Runtime& rt, const Value& self, const Args&) {
  List& result = rt.list(ListKind::dict_items);
  for (const auto& [key, value] : dict(self).items) {
    List& pair = rt.list(ListKind::tuple);
    rt.push(pair, key);
    rt.push(pair, value);
    rt.push(result, &pair);
  }
  return &result;
}

Value dict_keys(Runtime& rt, const Value& self, const Args&) {
  List& result = rt.list(ListKind::dict_keys);
  for (const auto& entry : dict(self).items) rt.push(result, entry.first);
  return &result;
}

Value dict_values(Runtime& rt, const Value& self, const Args&) {
  List& result = rt.list(ListKind::dict_values);
  for (const auto& entry : dict(self).items) rt.push(result, entry.second);
  return &result;
}

Value dict_get(Runtime& rt, const Value& self, const Args& args) {
  if (const Value* found = find(rt, dict(self), args[0])) return *found;
  return args.values.size() > 1 && args.has(1) ? args[1] : Value(None{});
}

constexpr Function dict_methods[] = {
    {"get", "key default", dict_get},
    {"items", "", dict_items},
    {"keys", "", dict_keys},
    {"values", "", dict_values},
};

// ---- lists and loops

// The sandbox of Python's Jinja refuses append; templates written for other engines use it.
Value list_append(Runtime& rt, const Value& self, const Args& args) {
  rt.push(*std::get<List*>(self), args[0]);
  return None{};
}

constexpr Function list_methods[] = {{"append", "object", list_append}};

Value loop_cycle(Runtime& rt, const Value& self, const Args& args) {
  if (args.values.empty()) rt.fail("cycle needs something to cycle through");
  return args[std::get<Loop*>(self)->index % args.values.size()];
}

constexpr Function loop_methods[] = {{"cycle", "*", loop_cycle}};

std::span<const Function> methods_of(const Value& self) {
  if (as_text(self)) return str_methods;
  if (std::holds_alternative<Dict*>(self)) return dict_methods;
  if (std::holds_alternative<Loop*>(self)) return loop_methods;
  const List* list = as_sequence(self);
  if (list && list->kind == ListKind::list) return list_methods;
  return {};
}

}  // namespace

const Function* find_method(const Value& self, std::string_view name) {
  for (const Function& f : methods_of(self))
    if (f.name == name) return &f;
  return nullptr;
}

}  // namespace coterie::text::jinja
