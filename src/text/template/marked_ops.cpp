#include "text/template/marked_ops.h"

#include "text/utf8.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstring>
#include <unordered_set>

namespace coterie::text::jinja {

namespace {

constexpr auto npos = std::string_view::npos;

void mark(Marked& to, std::size_t begin, std::size_t end) {
  if (begin == end) return;
  if (!to.foreign.empty() && to.foreign.back().end == begin)
    to.foreign.back().end = end;
  else
    to.foreign.push_back({begin, end});
}

}  // namespace

Marked own(std::string text) { return {std::move(text), {}}; }

Marked foreign(std::string text) {
  Marked result{std::move(text), {}};
  mark(result, 0, result.text.size());
  return result;
}

void append(Marked& to, std::string_view own_text) { to.text += own_text; }

void append(Marked& to, const Marked& part) { append(to, part, 0, part.text.size()); }

void append(Marked& to, const Marked& from, std::size_t begin, std::size_t end) {
  const std::size_t base = to.text.size();
  auto range = std::upper_bound(from.foreign.begin(), from.foreign.end(), begin,
                                [](std::size_t at, const Range& r) { return at < r.end; });
  for (; range != from.foreign.end() && range->begin < end; ++range)
    mark(to, base + std::max(range->begin, begin) - begin, base + std::min(range->end, end) - begin);
  to.text.append(from.text, begin, end - begin);
}

void append_as(Marked& to, std::string_view text, const Marked& from, std::size_t begin, std::size_t end) {
  const auto range = std::upper_bound(from.foreign.begin(), from.foreign.end(), begin,
                                      [](std::size_t at, const Range& r) { return at < r.end; });
  const std::size_t base = to.text.size();
  to.text += text;
  if (range != from.foreign.end() && range->begin < end) mark(to, base, to.text.size());
}

Marked slice(const Marked& from, std::size_t begin, std::size_t end) {
  Marked result;
  append(result, from, begin, end);
  return result;
}

CodePoint code_point(std::string_view text, std::size_t at) {
  const Utf8Step step = next_utf8(text.substr(at, 4));
  const bool valid = step.kind == Utf8Step::Kind::character;
  return {valid ? step.code : U'\uFFFD', step.bytes, valid};
}

std::size_t count_code_points(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t at = 0; at < text.size(); at += code_point(text, at).bytes) ++count;
  return count;
}

bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

std::size_t skip_space(std::string_view text, std::size_t at) {
  while (at < text.size()) {
    const CodePoint c = code_point(text, at);
    if (!is_space(c.value)) break;
    at += c.bytes;
  }
  return at;
}

namespace {

// Where the code point that ends before `end` begins.
std::size_t previous(std::string_view text, std::size_t end) {
  for (std::size_t bytes = 2; bytes <= 4 && bytes <= end; ++bytes)
    if (code_point(text, end - bytes).bytes == bytes) return end - bytes;
  return end - 1;
}

}  // namespace

std::size_t drop_space(std::string_view text) {
  std::size_t end = text.size();
  while (end > 0) {
    const std::size_t begin = previous(text, end);
    if (!is_space(code_point(text, begin).value)) break;
    end = begin;
  }
  return end;
}

// memmem is a two-way search in the C library: linear, where std::string_view::find may take n * m steps.
std::size_t find_text(std::string_view text, std::string_view what, std::size_t from) {
  if (from > text.size()) return npos;
  if (what.empty()) return from;
  const void* at = memmem(text.data() + from, text.size() - from, what.data(), what.size());
  return at ? static_cast<std::size_t>(static_cast<const char*>(at) - text.data()) : npos;
}

Marked strip(const Marked& text, Side side, const std::string_view* set) {
  const std::string_view s = text.text;
  // Each character once: a search through the set itself would cost the product of both lengths.
  std::unordered_set<std::string_view> characters;
  for (std::size_t at = 0, bytes = 0; set && at < set->size(); at += bytes) {
    bytes = code_point(*set, at).bytes;
    characters.insert(set->substr(at, bytes));
  }
  const auto goes = [&](std::size_t at) {
    const CodePoint c = code_point(s, at);
    return set ? characters.contains(s.substr(at, c.bytes)) : is_space(c.value);
  };
  std::size_t begin = 0, end = s.size();
  if (side != Side::right)
    while (begin < end && goes(begin)) begin += code_point(s, begin).bytes;
  if (side != Side::left)
    while (end > begin && goes(previous(s, end))) end = previous(s, end);
  return slice(text, begin, end);
}

void split(const Marked& text, std::string_view separator, std::ptrdiff_t limit, const Pieces& sink) {
  std::size_t begin = 0;
  for (; limit != 0; --limit) {
    const std::size_t end = find_text(text.text, separator, begin);
    if (end == npos) break;
    sink(slice(text, begin, end));
    begin = end + separator.size();
  }
  sink(slice(text, begin, text.text.size()));
}

void split_right(const Marked& text, std::string_view separator, std::ptrdiff_t limit, const Pieces& sink) {
  // The reverse search is linear because it looks for the reversed separator in the reversed text.
  const std::string_view s = text.text;
  const std::string backwards(s.rbegin(), s.rend()), wanted(separator.rbegin(), separator.rend());
  std::size_t end = s.size();
  for (; limit != 0; --limit) {
    const std::size_t at = find_text(backwards, wanted, s.size() - end);
    if (at == npos) break;
    sink(slice(text, s.size() - at, end));
    end = s.size() - at - separator.size();
  }
  sink(slice(text, 0, end));
}

void split_space(const Marked& text, std::ptrdiff_t limit, const Pieces& sink) {
  const std::string_view s = text.text;
  std::size_t begin = skip_space(s, 0);
  for (; begin < s.size() && limit != 0; --limit) {
    std::size_t end = begin;
    for (CodePoint c = code_point(s, end); !is_space(c.value); c = code_point(s, end)) {
      end += c.bytes;
      if (end >= s.size()) break;
    }
    sink(slice(text, begin, end));
    begin = skip_space(s, end);
  }
  if (begin < s.size()) sink(slice(text, begin, s.size()));
}

void split_lines(const Marked& text, bool keep_ends, const Pieces& sink) {
  const std::string_view s = text.text;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < s.size();) {
    const CodePoint c = code_point(s, at);
    const bool ends = (c.value >= 0x0A && c.value <= 0x0D) || (c.value >= 0x1C && c.value <= 0x1E) ||
                      c.value == 0x85 || c.value == 0x2028 || c.value == 0x2029;
    const std::size_t next = at + (s.substr(at, 2) == "\r\n" ? 2 : c.bytes);
    if (ends) {
      sink(slice(text, begin, keep_ends ? next : at));
      begin = next;
    }
    at = next;
  }
  if (begin < s.size()) sink(slice(text, begin, s.size()));
}

namespace {

char32_t mapped(utf8proc_int32_t (*map)(utf8proc_int32_t), char32_t c) {
  return static_cast<char32_t>(map(static_cast<utf8proc_int32_t>(c)));
}

}  // namespace

Marked change_case(const Marked& text, Case how) {
  Marked result;
  bool in_word = false;
  for (std::size_t at = 0; at < text.text.size();) {
    const CodePoint c = code_point(text.text, at);
    const char32_t upper = mapped(utf8proc_toupper, c.value), lower = mapped(utf8proc_tolower, c.value);
    const bool is_letter = upper != lower;
    const bool raise = how == Case::upper || (how == Case::capitalize && at == 0) ||
                       ((how == Case::title || how == Case::words) && !in_word);
    std::string changed;
    if (raise && c.value == U'\u00df')  // the one common letter whose upper case is two
      changed += how == Case::upper ? "SS" : "Ss";
    else if (c.valid)
      append_code_point(raise ? upper : lower, changed);
    else
      changed += text.text[at];
    append_as(result, changed, text, at, at + c.bytes);
    const bool separates = is_space(c.value) || std::u32string_view(U"-([{<").find(c.value) != npos;
    in_word = how == Case::words ? !separates : is_letter;
    at += c.bytes;
  }
  return result;
}

bool is_printable(char32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
      return false;
    case UTF8PROC_CATEGORY_ZS:
      return c == ' ';
    default:
      return true;
  }
}

}  // namespace coterie::text::jinja
