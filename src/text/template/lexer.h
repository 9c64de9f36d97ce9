// Cuts a template into text and the tokens of its tags, white space control included.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace coterie::text::jinja {

enum class TokenKind {
  data,
  output_begin,
  output_end,
  block_begin,
  block_end,
  name,
  string,
  integer,
  real,
  op,
  end
};

struct Token {
  TokenKind kind;
  int line;
  std::string_view text;  // into the source; a string with its quotes
};

// The source as the lexer wants it: line ends are "\n", the last one is dropped.
std::string normalize_source(std::string_view source);

// Throws TemplateError. The tokens refer to the source, which must be normalized. trim_blocks and
// lstrip_blocks are on.
std::vector<Token> tokenize(std::string_view source);

}  // namespace coterie::text::jinja
