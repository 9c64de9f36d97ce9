// Text whose parts remember where they came from.
//
// A rendered prompt mixes the template's own text, in which special tokens are meant, with text from
// messages, in which
// "<think>" is just seven characters. Marked carries that difference to the tokenizer.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace coterie::text {

struct Range {
  std::size_t begin, end;  // bytes, [begin, end)
};

struct Marked {
  std::string text;            // UTF-8
  std::vector<Range> foreign;  // ascending, disjoint, not empty: parts that must never form a special token
};

}  // namespace coterie::text
