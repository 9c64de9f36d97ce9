#include "cli/line_reader.h"

#include "cli/line_editor.h"
#include "cli/terminal.h"

#include <cstdio>

namespace coterie::cli {

LineReader::LineReader(const std::string& history) : interactive_(is_terminal(stdin)) {
  if (interactive_ && is_terminal(stdout)) editor_ = make_line_editor(history);
}
LineReader::~LineReader() = default;

LineReader::Result LineReader::read(const char* prompt, std::string* line) {
  const Interrupt interrupt;
  return editor_ ? editor_->read(prompt, line) : read_plain(prompt, line);
}

LineReader::Result LineReader::read_plain(const char* prompt, std::string* line) {
  if (interactive_) {
    std::fputs(prompt, stdout);
    std::fflush(stdout);
  }
  line->clear();
  int c = 0;
  while ((c = std::fgetc(stdin)) != EOF && c != '\n') *line += static_cast<char>(c);
  if (Interrupt::requested()) return Result::interrupted;
  return c == EOF && line->empty() ? Result::end : Result::line;
}

}  // namespace coterie::cli
