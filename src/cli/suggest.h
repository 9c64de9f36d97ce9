// The nearest word to a misspelt one.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace coterie::cli {

// The candidate with the fewest edits (insert, delete, replace, swap of neighbours), if few enough to be a
// slip of the keyboard or a prefix; empty otherwise.
std::string nearest(std::string_view word, std::span<const std::string> candidates);

// " (did you mean X?)", or nothing.
std::string suggestion(std::string_view word, std::span<const std::string> candidates);

}  // namespace coterie::cli
