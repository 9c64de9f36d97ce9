#include "base/json.h"

#include "base/errors.h"
#include "base/mapping.h"

#include <cstddef>
#include <iterator>
#include <unordered_set>
#include <utility>
#include <vector>

namespace coterie {

namespace {

using Json = nlohmann::ordered_json;

// Walks the text for nlohmann's parser and tells the builder below how far it has come.
struct Cursor {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  const char* at;
  const char** furthest;

  reference operator*() const { return *at; }
  Cursor& operator++() {
    *furthest = ++at;
    return *this;
  }
  Cursor operator++(int) {
    const Cursor before = *this;
    ++*this;
    return before;
  }
  bool operator==(const Cursor& other) const { return at == other.at; }
  bool operator!=(const Cursor& other) const { return at != other.at; }
};

// Builds the value bottom-up on a stack of open containers. Members are appended, not looked up: ordered_json
// finds keys one after another, which is quadratic on a vocabulary of 128,000 entries.
class Builder final : public nlohmann::json_sax<Json> {
 public:
  Builder(std::string_view text, JsonLimits limits, const std::string& subject)
      : text_(text), limits_(limits), subject_(subject), furthest_(text.data()) {}

  Json take() { return std::move(root_); }
  const char** furthest() { return &furthest_; }

  bool null() override { return put(nullptr); }
  bool boolean(bool v) override { return put(v); }
  bool number_integer(number_integer_t v) override { return put(v); }
  bool number_unsigned(number_unsigned_t v) override { return put(v); }
  bool number_float(number_float_t v, const string_t& /*as written*/) override { return put(v); }
  bool string(string_t& v) override { return put(std::move(v)); }
  bool binary(binary_t& /*no such thing in text*/) override { return false; }

  bool start_object(std::size_t /*unknown in text*/) override { return open(Json::object()); }
  bool start_array(std::size_t /*unknown in text*/) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& v) override {
    if (!open_.back().keys.insert(v).second) fail(offset(), "duplicate key \"" + v.substr(0, 100) + "\"");
    open_.back().key = std::move(v);
    return true;
  }

  bool parse_error(std::size_t position, const std::string& /*token*/,
                   const nlohmann::detail::exception& e) override {
    // "[json.exception.parse_error.101] parse error at line 1, column 5: syntax error ...; last read: '...'"
    std::string reason = e.what();
    if (const std::size_t column = reason.find(": "); column != std::string::npos)
      reason.erase(0, column + 2);
    if (const std::size_t read = reason.find("; last read"); read != std::string::npos) reason.erase(read);
    constexpr std::size_t enough = 200;  // a number that overflows is quoted in full, whatever its length
    if (reason.size() > enough) reason.replace(enough, std::string::npos, "...");
    fail(position == 0 ? offset() : position - 1, reason);
  }

  [[noreturn]] void fail(std::size_t at, const std::string& reason) const {
    throw FileError(subject_ + ": byte " + std::to_string(at) + ": " + reason);
  }

 private:
  struct Open {
    Json value;
    std::string key;                       // of the member being read
    std::unordered_set<std::string> keys;  // of the members so far
  };

  std::size_t offset() const { return static_cast<std::size_t>(furthest_ - text_.data()); }

  bool open(Json container) {
    if (static_cast<int>(open_.size()) >= limits_.max_depth)
      fail(offset(), "nested deeper than " + std::to_string(limits_.max_depth) + " levels");
    open_.push_back({std::move(container), {}, {}});
    return true;
  }

  bool close() {
    Json value = std::move(open_.back().value);
    open_.pop_back();
    return put(std::move(value));
  }

  bool put(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
    } else if (open_.back().value.is_array()) {
      open_.back().value.get_ref<Json::array_t&>().push_back(std::move(value));
    } else {
      open_.back().value.get_ref<Json::object_t&>().emplace_back(std::move(open_.back().key),
                                                                 std::move(value));
    }
    return true;
  }

  std::string_view text_;
  JsonLimits limits_;
  const std::string& subject_;
  const char* furthest_;
  std::vector<Open> open_;
  Json root_;
};

}  // namespace

nlohmann::ordered_json parse_json(std::string_view text, JsonLimits limits, const std::string& subject) {
  Builder builder(text, limits, subject);
  if (text.size() > limits.max_bytes)
    builder.fail(limits.max_bytes,
                 std::to_string(text.size()) + " bytes of JSON, at most " + std::to_string(limits.max_bytes));
  // The parser takes a NUL for the end of the text.
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos)
    builder.fail(nul, "NUL in JSON");
  const Cursor begin{text.data(), builder.furthest()};
  const Cursor end{text.data() + text.size(), builder.furthest()};
  Json::sax_parse(begin, end, &builder);
  return builder.take();
}

std::string read_text(const std::string& path, std::uint64_t max_bytes) {
  const MappedFile file(path);
  const std::span<const std::byte> bytes = file.bytes();
  if (bytes.size() > max_bytes)
    throw FileError(path + ": has " + std::to_string(bytes.size()) + " bytes, at most " +
                    std::to_string(max_bytes));
  std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  file.check();
  return text;
}

nlohmann::ordered_json read_json(const std::string& path, JsonLimits limits) {
  return parse_json(read_text(path, limits.max_bytes), limits, path);
}

}  // namespace coterie
