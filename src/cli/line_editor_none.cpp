// Built without libedit: plain lines.
#include "cli/line_editor.h"

namespace coterie::cli {

std::unique_ptr<LineEditor> make_line_editor(const std::string&) { return nullptr; }
const char* line_editor_name() { return "none"; }

}  // namespace coterie::cli
