#include "text/template/json.h"

#include "text/template/marked_ops.h"

#include <algorithm>
#include <cmath>

namespace coterie::text::jinja {

Value from_json(Runtime& rt, const nlohmann::ordered_json& json) {
  const Nesting nesting(rt, Nesting::data);
  if (json.is_string()) return rt.text(foreign(json.get_ref<const std::string&>()));
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_unsigned() && json.get<std::uint64_t>() > INT64_MAX) return json.get<double>();
  if (json.is_number_integer()) return json.get<std::int64_t>();
  if (json.is_number_float()) return json.get<double>();
  if (json.is_array()) {
    List& list = rt.list();
    for (const auto& element : json) rt.push(list, from_json(rt, element));
    return &list;
  }
  if (json.is_object()) {
    Dict& dict = rt.dict();
    for (const auto& [key, value] : json.items()) rt.put(dict, rt.text(foreign(key)), from_json(rt, value));
    return &dict;
  }
  return None{};
}

namespace {

std::string unicode_escape(char32_t c) {
  char buffer[16];
  if (c < 0x10000) {
    std::snprintf(buffer, sizeof buffer, "\\u%04x", static_cast<unsigned>(c));
  } else {
    const unsigned rest = static_cast<unsigned>(c) - 0x10000;
    std::snprintf(buffer, sizeof buffer, "\\u%04x\\u%04x", 0xD800 + (rest >> 10), 0xDC00 + (rest & 0x3FF));
  }
  return buffer;
}

void write_string(Runtime& rt, const Marked& s, bool ensure_ascii, Marked& to) {
  static constexpr std::string_view special = "\"\\\n\r\t\b\f", letters = "\"\\nrtbf";
  rt.work(s.text.size());
  append(to, "\"");
  std::size_t plain = 0, bytes = 0;  // start of the run that needs no escape
  for (std::size_t at = 0; at < s.text.size(); at += bytes) {
    const CodePoint c = code_point(s.text, at);
    bytes = c.bytes;
    const std::size_t letter = special.find(s.text[at]);
    std::string escape;
    if (letter != std::string_view::npos)
      escape = std::string("\\") + letters[letter];
    else if (c.value < 0x20 || (ensure_ascii && c.value >= 0x7F))
      escape = unicode_escape(c.value);
    else
      continue;
    append(to, s, plain, at);
    append_as(to, escape, s, at, at + bytes);
    plain = at + bytes;
  }
  append(to, s, plain, s.text.size());
  append(to, "\"");
}

std::string json_number(const Value& v) {
  if (is_none(v)) return "null";
  if (const bool* b = std::get_if<bool>(&v)) return *b ? "true" : "false";
  const double number = *as_number(v);
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number < 0 ? "-Infinity" : "Infinity";
  return number_text(v);
}

class Writer {
 public:
  Writer(Runtime& rt, const JsonStyle& style, Marked& to) : rt_(rt), style_(style), to_(to) {}

  void value(const Value& v) {
    rt_.step();
    rt_.check_length(to_.text.size());
    const Nesting nesting(rt_, Nesting::data);
    const auto* list = std::get_if<List*>(&v);
    if (const Marked* s = as_text(v))
      write_string(rt_, *s, style_.ensure_ascii, to_);
    else if (as_number(v) || is_none(v))
      append(to_, json_number(v));
    else if (const auto* dict = std::get_if<Dict*>(&v))
      object(**dict);
    else if (list && ((*list)->kind == ListKind::list || (*list)->kind == ListKind::tuple))
      array(**list);
    else
      rt_.fail("a " + type_name(v) + " cannot be written as JSON");
  }

 private:
  void array(const List& list) {
    append(to_, "[");
    ++level_;
    for (std::size_t i = 0; i < list.items.size(); ++i) {
      begin_item(i == 0);
      value(list.items[i]);
    }
    end_items(list.items.empty());
    append(to_, "]");
  }

  void object(const Dict& dict) {
    std::vector<const std::pair<Value, Value>*> items;
    for (const auto& entry : dict.items) items.push_back(&entry);
    if (style_.sort_keys)
      std::stable_sort(items.begin(), items.end(),
                       [&](const auto* a, const auto* b) { return compare(rt_, a->first, b->first) < 0; });
    append(to_, "{");
    ++level_;
    for (std::size_t i = 0; i < items.size(); ++i) {
      begin_item(i == 0);
      const Value& key = items[i]->first;
      if (const Marked* s = as_text(key))
        write_string(rt_, *s, style_.ensure_ascii, to_);
      else
        append(to_, "\"" + json_number(key) + "\"");
      append(to_, style_.key_separator);
      value(items[i]->second);
    }
    end_items(items.empty());
    append(to_, "}");
  }

  void begin_item(bool first) {
    if (!first) append(to_, style_.item_separator);
    if (style_.indent) new_line();
  }
  void end_items(bool empty) {
    --level_;
    if (style_.indent && !empty) new_line();
  }
  void new_line() {
    append(to_, "\n");
    for (int i = 0; i < level_; ++i) {
      append(to_, *style_.indent);
      rt_.check_length(to_.text.size());
    }
  }

  Runtime& rt_;
  const JsonStyle& style_;
  Marked& to_;
  int level_ = 0;
};

}  // namespace

void write_json(Runtime& rt, const Value& v, const JsonStyle& style, Marked& to) {
  Writer(rt, style, to).value(v);
}

}  // namespace coterie::text::jinja
