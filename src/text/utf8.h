// UTF-8 that may be broken: every function takes any bytes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace coterie::text {

// What stands at the start of a text: a character; or broken bytes, as many as the Unicode standard replaces
// by one U+FFFD (the maximal subpart of an ill-formed sequence); or a character that the end of the text
// cuts.
struct Utf8Step {
  enum class Kind { character, broken, cut } kind;
  char32_t code;  // of a character
  std::size_t bytes;
};

Utf8Step next_utf8(std::string_view text);  // text: not empty

// Appends the text to out, U+FFFD for what is broken, and returns the bytes consumed: all of them, or all but
// a character cut by the end, which waits for the rest unless the text is final.
std::size_t append_utf8(std::string_view text, bool final, std::string& out);

void append_code_point(char32_t code, std::string& out);

}  // namespace coterie::text
