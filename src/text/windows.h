// A text cut into contexts of their own, for whoever lets a model read one.
#pragma once

#include "text/tokenizer.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace coterie::text {

// Every token of the text in its order, at most `size` in a window, each window with BOS in front where the vocabulary
// asks for it. Where special tokens are parsed, each BOS of the text begins a window: the conversations of one file
// stay apart.
std::vector<std::vector<Token>> windows_of(const Tokenizer& tokenizer, std::string_view text,
                                           std::int64_t size, Special special);

}  // namespace coterie::text
