#include "text/template/runtime.h"

#include <utility>

namespace coterie::text {

namespace {

constexpr std::size_t longest_message = 400;

std::string one_line(int line, const std::string& what) {
  std::string message = "chat template: line " + std::to_string(line) + ": " + what;
  for (char& c : message)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  if (message.size() > longest_message) message = message.substr(0, longest_message) + "...";
  return message;
}

}  // namespace

TemplateError::TemplateError(int line, const std::string& what) : Error(one_line(line, what)), line_(line) {}

namespace jinja {

namespace {

constexpr std::int64_t units_between_clock_reads = 1024;
constexpr std::size_t bytes_per_unit = 1024;
constexpr std::int64_t bytes_per_entry = 160;  // of a dictionary, its index included

std::int64_t size_of(const Marked& m) {
  return static_cast<std::int64_t>(sizeof(Marked) + 32 + m.text.size() + m.foreign.size() * sizeof(Range));
}

}  // namespace

Runtime::Runtime(const TemplateLimits& limits)
    : limits_(limits), deadline_(std::chrono::steady_clock::now() + limits.time) {}

void Runtime::fail(const std::string& what) const { throw TemplateError(line, what); }

void Runtime::step() {
  if (++steps_ > limits_.steps) fail("more than " + std::to_string(limits_.steps) + " steps");
  work(bytes_per_unit);
}

void Runtime::work(std::size_t bytes) {
  until_clock_ -= static_cast<std::int64_t>(bytes / bytes_per_unit);
  if (until_clock_ > 0) return;
  until_clock_ = units_between_clock_reads;
  if (std::chrono::steady_clock::now() > deadline_)
    fail("more than " + std::to_string(limits_.time.count()) + " ms");
}

void Runtime::charge(std::int64_t bytes) {
  memory_ += bytes;
  if (bytes > 0 && memory_ > limits_.memory)
    fail("values take more than " + std::to_string(limits_.memory) + " bytes");
}

void Runtime::check_length(std::uint64_t bytes) const {
  if (bytes > static_cast<std::uint64_t>(limits_.output))
    fail("a text is longer than " + std::to_string(limits_.output) + " bytes");
}

Text Runtime::text(Marked m) {
  check_length(m.text.size());
  work(m.text.size());
  // A result cut down from a longer one would keep the longer one's memory.
  m.text.shrink_to_fit();
  m.foreign.shrink_to_fit();
  const std::int64_t size = size_of(m);
  charge(size);
  return Text(new Marked(std::move(m)), [this, size](const Marked* gone) {
    memory_ -= size;
    delete gone;
  });
}

Text Runtime::text(std::string_view own_text) { return text(Marked{std::string(own_text), {}}); }

List& Runtime::list(ListKind kind) {
  charge(sizeof(List));
  return lists_.emplace_back(List{kind, {}});
}

Dict& Runtime::dict() {
  charge(sizeof(Dict));
  return dicts_.emplace_back();
}

Namespace& Runtime::new_namespace() {
  charge(sizeof(Namespace));
  return namespaces_.emplace_back();
}

Loop& Runtime::loop(const List& items, int depth) {
  charge(sizeof(Loop));
  return loops_.emplace_back(Loop{&items, 0, depth});
}

const Macro& Runtime::macro(const Stmt& definition, Frame& scope) {
  charge(sizeof(Macro));
  return macros_.emplace_back(Macro{&definition, &scope});
}

Frame& Runtime::frame(Frame* parent) {
  charge(sizeof(Frame));
  return frames_.emplace_back(Frame{parent, {}});
}

void Runtime::push(List& to, Value v) {
  charge(2 * sizeof(Value));  // a vector may hold twice what it needs
  to.items.push_back(std::move(v));
}

Nesting::Nesting(Runtime& rt, int weight) : rt_(rt), weight_(weight) {
  if (rt.nesting_ + weight > 8 * rt.limits_.depth)
    rt.fail("nested too deeply: limit " + std::to_string(rt.limits_.depth));
  rt.nesting_ += weight;
}

namespace {

// The canonical text of a dictionary key. Strings get a prefix that no other key has.
std::optional<std::string> key_of(const Value& key) {
  if (const Marked* s = as_text(key)) return "s" + s->text;
  if (is_none(key)) return "none";
  if (const auto n = as_number(key)) {
    const auto i = as_int(key);
    if (i) return std::to_string(*i);
    const bool whole =
        *n >= -9.2e18 && *n <= 9.2e18 && *n == static_cast<double>(static_cast<std::int64_t>(*n));
    return whole ? std::to_string(static_cast<std::int64_t>(*n)) : number_text(key);
  }
  return std::nullopt;
}

const Value* at_key(const Dict& dict, const std::string& key) {
  const auto found = dict.index.find(key);
  return found == dict.index.end() ? nullptr : &dict.items[found->second].second;
}

}  // namespace

void Runtime::put(Dict& to, const Value& key, Value v) {
  std::optional<std::string> name = key_of(key);
  if (!name) fail("a " + type_name(key) + " cannot be the key of a dict");
  const auto [at, is_new] = to.index.try_emplace(*name, to.items.size());
  if (!is_new) {
    to.items[at->second].second = std::move(v);
    return;
  }
  charge(bytes_per_entry + static_cast<std::int64_t>(name->size()));
  to.items.emplace_back(key, std::move(v));
}

const Value* find(Runtime& rt, const Dict& dict, const Value& key) {
  if (is_undefined(key)) return nullptr;
  const std::optional<std::string> name = key_of(key);
  if (!name) rt.fail("a " + type_name(key) + " cannot be the key of a dict");
  rt.work(name->size());
  return at_key(dict, *name);
}

const Value* find(const Dict& dict, std::string_view key) { return at_key(dict, "s" + std::string(key)); }

}  // namespace jinja
}  // namespace coterie::text
