#include "cli/terminal.h"

#include "base/errors.h"

#include <unistd.h>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

namespace coterie::cli {

namespace {

constexpr int exit_interrupted = 130, exit_broken_pipe = 141;  // 128 + the signal's number, as shells count
std::atomic<int> interrupts_alive{0};
std::atomic<bool> interrupted{false};

void on_interrupt(int) {
  if (interrupts_alive == 0 || interrupted.exchange(true)) _exit(exit_interrupted);
}

void on_broken_pipe(int) { _exit(exit_broken_pipe); }

void handle(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, nullptr);
}

}  // namespace

bool is_terminal(std::FILE* stream) { return isatty(fileno(stream)) == 1; }

bool use_colour(std::FILE* stream) {
  const char* no_colour = std::getenv("NO_COLOR");
  return is_terminal(stream) && (no_colour == nullptr || *no_colour == '\0');
}

static std::string replace_controls(std::string_view text, std::string_view kept) {
  std::string safe;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const unsigned char byte = static_cast<unsigned char>(text[i]);
    const unsigned char after = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0;
    const bool high = byte == 0xc2 && after >= 0x80 && after < 0xa0;  // U+0080 to U+009F steer terminals too
    const bool control = (byte < 0x20 || byte == 0x7f) && kept.find(text[i]) == std::string_view::npos;
    safe += control || high ? '?' : text[i];
    if (high) ++i;
  }
  return safe;
}

std::string printable(std::string_view text) { return replace_controls(text, ""); }
std::string harmless(std::string_view text) { return replace_controls(text, "\n\t"); }

void install_signal_handlers() {
  handle(SIGINT, on_interrupt);
  handle(SIGPIPE, on_broken_pipe);
}

Interrupt::Interrupt() {
  interrupted = false;
  ++interrupts_alive;
}
Interrupt::~Interrupt() { --interrupts_alive; }
bool Interrupt::requested() { return interrupted; }

void Progress::show(double fraction, const std::string& what) {
  if (!is_terminal(stderr) || (shown_ && fraction - last_ < 0.01 && fraction < 1)) return;
  constexpr int width = 30;
  std::string bar(static_cast<std::size_t>(width), '.');
  std::fill_n(bar.begin(), static_cast<int>(fraction * width), '=');
  std::fprintf(stderr, "\r[%s] %3d%% %s\033[K", bar.c_str(), static_cast<int>(fraction * 100), what.c_str());
  std::fflush(stderr);
  shown_ = true;
  last_ = fraction;
}

void Progress::clear() {
  if (shown_) std::fprintf(stderr, "\r\033[K");
  shown_ = false;
}

std::function<void(std::uint64_t done, std::uint64_t total)> interruptible(Progress& progress,
                                                                           const char* what) {
  return [&progress, what](std::uint64_t done, std::uint64_t total) {
    if (Interrupt::requested()) throw Error("interrupted, nothing written", 130);
    progress.show(static_cast<double>(done) / static_cast<double>(total), what);
  };
}

// Why stdout failed first; the stream itself only keeps that it did.
static int stdout_reason = 0;

void flush_stdout() {
  if (std::fflush(stdout) != 0 && stdout_reason == 0) stdout_reason = errno;
}

void check_stdout() {
  flush_stdout();
  if (stdout_reason == 0 && std::ferror(stdout) == 0) return;
  const int reason = stdout_reason;
  const std::string message =
      std::string("standard output: ") + (reason ? std::strerror(reason) : "write error");
  if (reason == ENOSPC || reason == EDQUOT) throw DiskFullError(message);
  throw Error(message);
}

}  // namespace coterie::cli
