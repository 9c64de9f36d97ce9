// Behaves as Jinja's lexer with trim_blocks and lstrip_blocks:
//   text before a tag   "-" after the opening drops all white space at its end; else, unless "+" or an output
//   tag, blanks
//                       between the start of the line and the tag go
//   after a tag         "-" before the closing drops all white space that follows; else, unless "+" or an
//   output tag, one
//                       line end goes
#include "text/template/lexer.h"

#include "text/template/limits.h"
#include "text/template/marked_ops.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace coterie::text::jinja {

namespace {

constexpr auto npos = std::string_view::npos;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_name(char c) { return is_name_start(c) || is_digit(c); }
bool is_one_of(std::string_view set, char c) { return set.find(c) != npos; }

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) text_and_tag();
    add(TokenKind::end, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw TemplateError(line_, what); }
  bool sees(std::string_view what, std::size_t offset = 0) const {
    return source_.substr(std::min(at_ + offset, source_.size()), what.size()) == what;
  }
  void add(TokenKind kind, std::string_view text) { tokens_.push_back({kind, line_, text}); }
  void advance(std::size_t to) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(to), '\n'));
    at_ = to;
  }

  void text_and_tag();
  void finish_text(std::size_t end, bool is_output);
  void comment();
  bool raw();
  void tag(bool is_output);
  bool tag_end(bool is_output);
  void after_tag(char sign, bool is_output);
  void token();
  void string();
  void number();
  void op();

  const std::string_view source_;
  std::size_t at_ = 0;
  int line_ = 1;
  bool line_starts_ = true;  // the text that follows begins at the start of a line
  std::string brackets_;     // the closing ones that are due
  std::vector<Token> tokens_;
};

void Lexer::text_and_tag() {
  std::size_t tag_at = source_.find('{', at_);
  while (tag_at != npos && (tag_at + 1 == source_.size() || !is_one_of("%{#", source_[tag_at + 1])))
    tag_at = source_.find('{', tag_at + 1);
  if (tag_at == npos) {
    add(TokenKind::data, source_.substr(at_));
    return advance(source_.size());
  }
  const char type = source_[tag_at + 1];
  finish_text(tag_at, type == '{');
  if (type == '#') return comment();
  if (type == '%' && raw()) return;
  tag(type == '{');
}

// Emits the text up to a tag, and steps over the tag's opening and its sign.
void Lexer::finish_text(std::size_t end, bool is_output) {
  std::string_view text = source_.substr(at_, end - at_);
  const char sign = end + 2 < source_.size() ? source_[end + 2] : '\0';
  if (sign == '-') {
    text = text.substr(0, drop_space(text));
  } else if (sign != '+' && !is_output) {
    const std::size_t line_end = text.rfind('\n');
    const std::size_t line_begin = line_end == npos ? 0 : line_end + 1;
    if ((line_begin > 0 || line_starts_) && skip_space(text, line_begin) == text.size())
      text = text.substr(0, line_begin);
  }
  if (!text.empty()) add(TokenKind::data, text);
  advance(end + (sign == '-' || sign == '+' ? 3 : 2));
}

void Lexer::comment() {
  const std::size_t end = source_.find("#}", at_);
  if (end == npos) fail("the comment that begins here has no end");
  const char sign = end > at_ ? source_[end - 1] : '\0';
  advance(end + 2);
  after_tag(sign, false);
}

// {% raw %}...{% endraw %}: text in which tags mean nothing. False: it is another tag.
bool Lexer::raw() {
  const auto word_tag = [&](std::size_t from,
                            std::string_view word) -> std::size_t {  // its closing's place, or npos
    const std::size_t begin = skip_space(source_, from);
    if (source_.substr(begin, word.size()) != word) return npos;
    const std::size_t end = skip_space(source_, begin + word.size());
    if (source_.substr(end, 2) == "%}") return end;
    const bool sign = source_.substr(end, 3) == "-%}" || source_.substr(end, 3) == "+%}";
    return sign ? end + 1 : npos;
  };
  const std::size_t close = word_tag(at_, "raw");
  if (close == npos) return false;
  const int begin_line = line_;
  advance(close + 2);
  if (source_[close - 1] == '-') advance(skip_space(source_, at_));
  line_starts_ = source_[at_ - 1] == '\n';
  for (std::size_t end = source_.find("{%", at_); end != npos; end = source_.find("{%", end + 2)) {
    const bool sign = end + 2 < source_.size() && (source_[end + 2] == '-' || source_[end + 2] == '+');
    const std::size_t end_close = word_tag(end + (sign ? 3 : 2), "endraw");
    if (end_close == npos) continue;
    finish_text(end, false);
    advance(end_close + 2);
    after_tag(source_[end_close - 1], false);
    return true;
  }
  throw TemplateError(begin_line, "raw has no endraw");
}

void Lexer::tag(bool is_output) {
  add(is_output ? TokenKind::output_begin : TokenKind::block_begin, "");
  brackets_.clear();
  const int begin_line = line_;
  for (;;) {
    advance(skip_space(source_, at_));
    if (at_ >= source_.size()) throw TemplateError(begin_line, "the tag that begins here has no end");
    if (brackets_.empty() && tag_end(is_output)) return;
    token();
  }
}

bool Lexer::tag_end(bool is_output) {
  const std::string_view closing = is_output ? "}}" : "%}";
  const bool sign = (sees("-") || (sees("+") && !is_output)) && sees(closing, 1);
  if (!sign && !sees(closing)) return false;
  add(is_output ? TokenKind::output_end : TokenKind::block_end, "");
  const char sign_char = sign ? source_[at_] : '\0';
  advance(at_ + (sign ? 3 : 2));
  after_tag(sign_char, is_output);
  return true;
}

void Lexer::after_tag(char sign, bool is_output) {
  const std::size_t begin = at_;
  if (sign == '-')
    advance(skip_space(source_, at_));
  else if (sign != '+' && !is_output && sees("\n"))
    advance(at_ + 1);
  line_starts_ = at_ > begin && source_[at_ - 1] == '\n';
}

void Lexer::token() {
  const char c = source_[at_];
  if (c == '\'' || c == '"') return string();
  if (is_digit(c)) return number();
  if (!is_name_start(c)) return op();
  std::size_t end = at_ + 1;
  while (end < source_.size() && is_name(source_[end])) ++end;
  add(TokenKind::name, source_.substr(at_, end - at_));
  at_ = end;
}

void Lexer::string() {
  std::size_t end = at_ + 1;
  while (end < source_.size() && source_[end] != source_[at_]) end += source_[end] == '\\' ? 2 : 1;
  if (end >= source_.size()) fail("the string that begins here has no end");
  add(TokenKind::string, source_.substr(at_, end + 1 - at_));
  advance(end + 1);
}

// 12, 1_000, 0x1F, 0o17, 0b11; 1.5, 1e3, 1.5e-3. After a dot only an integer: x.0.1 are two indices.
void Lexer::number() {
  std::size_t end = at_;
  const auto digits = [&](auto&& is_one) {
    while (end < source_.size() &&
           (is_one(source_[end]) ||
            (source_[end] == '_' && end + 1 < source_.size() && is_one(source_[end + 1]))))
      ++end;
  };
  TokenKind kind = TokenKind::integer;
  const char base = at_ + 1 < source_.size() && source_[at_] == '0' ? source_[at_ + 1] : '\0';
  if (is_one_of("xXoObB", base)) {
    end += 2;
    digits([](char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; });
  } else {
    digits(is_digit);
    const bool after_dot = at_ > 0 && source_[at_ - 1] == '.';
    const auto has_digit = [&](std::size_t i) { return i < source_.size() && is_digit(source_[i]); };
    if (!after_dot && end < source_.size() && source_[end] == '.' && has_digit(end + 1)) {
      kind = TokenKind::real;
      ++end;
      digits(is_digit);
    }
    if (!after_dot && end < source_.size() && (source_[end] == 'e' || source_[end] == 'E')) {
      const bool sign = end + 1 < source_.size() && (source_[end + 1] == '+' || source_[end + 1] == '-');
      if (has_digit(end + (sign ? 2 : 1))) {
        kind = TokenKind::real;
        end += sign ? 2 : 1;
        digits(is_digit);
      }
    }
  }
  add(kind, source_.substr(at_, end - at_));
  at_ = end;
}

void Lexer::op() {
  static constexpr std::array<std::string_view, 6> pairs = {"//", "**", "==", "!=", ">=", "<="};
  for (const std::string_view pair : pairs)
    if (sees(pair)) {
      add(TokenKind::op, source_.substr(at_, 2));
      at_ += 2;
      return;
    }
  const char c = source_[at_];
  if (!is_one_of("+-/*%~[](){}<>=.:|,;", c)) fail(std::string("unexpected character '") + c + "'");
  if (c == '(') brackets_ += ')';
  if (c == '[') brackets_ += ']';
  if (c == '{') brackets_ += '}';
  if (c == ')' || c == ']' || c == '}') {
    if (brackets_.empty() || brackets_.back() != c) fail(std::string("unexpected '") + c + "'");
    brackets_.pop_back();
  }
  add(TokenKind::op, source_.substr(at_, 1));
  ++at_;
}

}  // namespace

std::string normalize_source(std::string_view source) {
  std::string result;
  result.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      result += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      result += source[i];
    }
  }
  if (!result.empty() && result.back() == '\n') result.pop_back();
  return result;
}

std::vector<Token> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace coterie::text::jinja
