// Tokens to syntax tree: the grammar of Jinja's parser, with bounded nesting.
#pragma once

#include "text/template/ast.h"

#include <string_view>
#include <vector>

namespace coterie::text::jinja {

// Throws TemplateError. The tree keeps nothing of the source.
std::vector<Stmt> parse(std::string_view source);

}  // namespace coterie::text::jinja
