// Where the output goes and who may interrupt: colour and progress on terminals only, Ctrl-C, broken pipes,
// full disks.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>

namespace coterie::cli {

bool is_terminal(std::FILE* stream);
bool use_colour(std::FILE* stream);  // a terminal, and NO_COLOR is not set

// Hostile text (names in files) on one line: control characters become '?'.
std::string printable(std::string_view text);

// Text of many lines for a terminal: escape sequences and other control characters become '?'; line ends and
// tabs stay.
std::string harmless(std::string_view text);

// Ctrl-C ends the program with exit code 130, and a closed pipe quietly with 141, unless an Interrupt is
// alive.
void install_signal_handlers();

// While one lives, Ctrl-C only sets a flag that long loops ask for; a second Ctrl-C within the same life ends
// the program.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  static bool requested();
};

// One line on stderr that is overwritten in place, and removed by the destructor; silent unless stderr is a
// terminal.
class Progress {
 public:
  Progress() = default;
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void show(double fraction, const std::string& what);  // fraction of the whole, 0 to 1
  void clear();

 private:
  bool shown_ = false;
  double last_ = -1;
  std::chrono::steady_clock::time_point last_time_;
};

// Shows how far a work of known size is, how fast, and how long it will take: a bar on a terminal, else a line a minute, so
// that the log of a long run has some. Throws Error with exit code 130 and that message once the user has pressed Ctrl-C.
// unit: what is counted, "tensors"; null: bytes.
std::function<void(std::uint64_t done, std::uint64_t total)> interruptible(
    Progress& progress, const char* what, const char* when_interrupted = "interrupted, nothing written",
    const char* unit = nullptr);

void flush_stdout();  // remembers why it failed, for check_stdout()
// Flushes stdout; throws DiskFullError or Error when something written there was lost.
void check_stdout();

}  // namespace coterie::cli
