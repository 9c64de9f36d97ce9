// Lines edited with libedit: emacs keys, arrows, history.
#include "cli/line_editor.h"
#include "cli/terminal.h"

#include <histedit.h>
#include <langinfo.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstring>
#include <cwchar>

namespace coterie::cli {

namespace {

class LibEditor final : public LineEditor {
 public:
  explicit LibEditor(const std::string& history_path) : path_(history_path) {
    // So that libedit takes what is typed for UTF-8, also where no locale is set up, as in most containers.
    std::setlocale(LC_CTYPE, "");
    if (std::strcmp(nl_langinfo(CODESET), "UTF-8") != 0) std::setlocale(LC_CTYPE, "C.UTF-8");
    edit_ = el_init("coterie", stdin, stdout, stderr);
    past_ = history_init();
    HistEvent event;
    history(past_, &event, H_SETSIZE, 1000);
    history(past_, &event, H_SETUNIQUE, 1);
    if (!path_.empty()) history(past_, &event, H_LOAD, path_.c_str());
    el_set(edit_, EL_CLIENTDATA, this);
    el_set(edit_, EL_PROMPT, prompt_of);
    el_set(edit_, EL_EDITOR, "emacs");
    el_set(edit_, EL_HIST, history, past_);
    el_set(edit_, EL_GETCFN, next_character);
  }
  ~LibEditor() {
    HistEvent event;
    if (!path_.empty()) history(past_, &event, H_SAVE, path_.c_str());
    history_end(past_);
    el_end(edit_);
  }
  LibEditor(const LibEditor&) = delete;
  LibEditor& operator=(const LibEditor&) = delete;

  static LibEditor& of(EditLine* e) {
    void* self = nullptr;
    el_get(e, EL_CLIENTDATA, &self);
    return *static_cast<LibEditor*>(self);
  }
  static char* prompt_of(EditLine* e) { return const_cast<char*>(of(e).prompt_); }

  // One character; -1 where Ctrl-C was pressed (libedit's own reader would swallow the interrupted call), 0
  // at the end.
  static int next_character(EditLine*, wchar_t* character) {
    std::mbstate_t state{};
    for (;;) {
      char byte = 0;
      const ssize_t n = ::read(STDIN_FILENO, &byte, 1);
      if (n < 0 && Interrupt::requested()) return -1;
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return 0;
      const std::size_t used = std::mbrtowc(character, &byte, 1, &state);
      if (used == static_cast<std::size_t>(-2)) continue;  // more bytes belong to it
      if (used == static_cast<std::size_t>(-1)) *character = L'?';
      return 1;
    }
  }

  LineReader::Result read(const char* text, std::string* line) override {
    prompt_ = text;
    int length = 0;
    const char* typed = el_gets(edit_, &length);
    if (Interrupt::requested()) {
      el_reset(edit_);
      std::fputc('\n', stdout);
      return LineReader::Result::interrupted;
    }
    if (typed == nullptr || length <= 0) return LineReader::Result::end;
    line->assign(typed, static_cast<std::size_t>(length));
    if (line->ends_with('\n')) line->pop_back();
    HistEvent event;
    if (!line->empty()) history(past_, &event, H_ENTER, line->c_str());
    return LineReader::Result::line;
  }

 private:
  const std::string path_;
  EditLine* edit_ = nullptr;
  History* past_ = nullptr;
  const char* prompt_ = "";
};

}  // namespace

std::unique_ptr<LineEditor> make_line_editor(const std::string& history_path) {
  return std::make_unique<LibEditor>(history_path);
}
const char* line_editor_name() { return "libedit"; }

}  // namespace coterie::cli
