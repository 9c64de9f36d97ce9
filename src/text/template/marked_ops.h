// String operations that keep the marks: every byte of a result is foreign exactly if it was before.
//
// Positions are byte offsets; functions that follow Python count code points and say so. What is not
// well-formed UTF-8 counts as one for every U+FFFD that would replace it.
#pragma once

#include "text/marked.h"

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace coterie::text::jinja {

Marked own(std::string text);      // the template's: may form special tokens
Marked foreign(std::string text);  // from a variable: may not

void append(Marked& to, std::string_view own_text);
void append(Marked& to, const Marked& part);
void append(Marked& to, const Marked& from, std::size_t begin,
            std::size_t end);  // bytes [begin, end) of from
// Replacement text for bytes [begin, end) of from (an escape sequence, another case): foreign if any of them
// is.
void append_as(Marked& to, std::string_view text, const Marked& from, std::size_t begin, std::size_t end);
Marked slice(const Marked& from, std::size_t begin, std::size_t end);

// The code point at an offset, U+FFFD for broken bytes.
struct CodePoint {
  char32_t value;
  std::size_t bytes;
  bool valid;
};
CodePoint code_point(std::string_view text, std::size_t at);
std::size_t count_code_points(std::string_view text);

bool is_space(char32_t c);                                      // what Python's str.isspace() calls so
std::size_t skip_space(std::string_view text, std::size_t at);  // first byte from `at` on that is not space
std::size_t drop_space(std::string_view text);                  // length without trailing space
std::size_t find_text(std::string_view text, std::string_view what,
                      std::size_t from = 0);  // linear; npos: none

enum class Side { both, left, right };
// Without the characters of `set` at the ends; set == nullptr: without white space.
Marked strip(const Marked& text, Side side, const std::string_view* set);

// As str.split with a separator (not empty), str.rsplit (from the right: the last piece comes first),
// str.split at runs of white space, str.splitlines; limit < 0: no limit. The sink gets one piece at a time,
// so that it can stop a flood of them.
using Pieces = std::function<void(Marked)>;
void split(const Marked& text, std::string_view separator, std::ptrdiff_t limit, const Pieces& sink);
void split_right(const Marked& text, std::string_view separator, std::ptrdiff_t limit, const Pieces& sink);
void split_space(const Marked& text, std::ptrdiff_t limit, const Pieces& sink);
void split_lines(const Marked& text, bool keep_ends, const Pieces& sink);

// title: as str.title(), a word is a run of letters; words: as the filter, it ends at space or one of -([{<.
enum class Case { upper, lower, capitalize, title, words };
Marked change_case(const Marked& text, Case how);  // one code point for each, but for \u00df
bool is_printable(char32_t c);                     // as str.isprintable()

}  // namespace coterie::text::jinja
