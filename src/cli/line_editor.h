// The part of reading lines that depends on what was built in: editing with history.
#pragma once

#include "cli/line_reader.h"

#include <memory>
#include <string>

namespace coterie::cli {

class LineEditor {
 public:
  virtual ~LineEditor() = default;
  virtual LineReader::Result read(const char* prompt, std::string* line) = 0;
};

// line_editor_libedit.cpp or line_editor_none.cpp, whichever CMake took. No editor: null.
std::unique_ptr<LineEditor> make_line_editor(const std::string& history);
const char* line_editor_name();  // "libedit", "none"

}  // namespace coterie::cli
