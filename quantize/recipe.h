// A recipe: which tensor gets which format, as ordered lines. The first line whose pattern matches the whole
// name of a tensor wins.
//
//   # the first layers and what every token meets
//   blk.{0-2}.*               = Q6_K
//   blk.*.attn_*.weight       = Q5_K
//   blk.*.ffn_{gate,up}_exps* = IQ2_XS
//   *                         = Q3_K
//
// Patterns are globs: * is any run of characters, ? any one, {a,b} one of the words, and a word like 3-60 any
// number from 3 to 60. Everything else stands for itself. They cannot take forever, as regular expressions
// can.
#pragma once

#include "formats/formats.h"

#include <string>
#include <string_view>
#include <vector>

namespace coterie::quantize {

struct Recipe {
  struct Line {
    std::string pattern;
    const FormatInfo* format;
  };
  std::vector<Line> lines;
};

bool matches(std::string_view pattern, std::string_view name);

// Throws UsageError "subject: line N: ...": no line, an unknown format, braces that do not close.
Recipe parse_recipe(std::string_view text, const std::string& subject);
Recipe read_recipe(const std::string& path);

std::string text_of(const Recipe& recipe);  // parse_recipe() gives the same recipe again

const FormatInfo* look_up(const Recipe& recipe, std::string_view name);  // nullptr: no line matches

}  // namespace coterie::quantize
