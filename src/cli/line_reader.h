// Lines from the user: edited, with history, on a terminal (libedit where it was built in); plain lines from
// a pipe.
#pragma once

#include <memory>
#include <optional>
#include <string>

namespace coterie::cli {

class LineEditor;

class LineReader {
 public:
  // history: the file that keeps the lines of earlier sessions; empty: none.
  explicit LineReader(const std::string& history);
  ~LineReader();

  enum class Result { line, end, interrupted };        // end: Ctrl-D or the end of the input
  Result read(const char* prompt, std::string* line);  // without its line end
  bool interactive() const { return interactive_; }

 private:
  Result read_plain(const char* prompt, std::string* line);

  const bool interactive_;
  std::unique_ptr<LineEditor> editor_;  // none: plain lines
};

}  // namespace coterie::cli
