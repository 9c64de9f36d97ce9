#include "cli/terminal.h"

#include "base/errors.h"
#include "cli/files.h"

#include <unistd.h>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <optional>

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
  handle(SIGXFSZ, SIG_IGN);  // a write beyond ulimit -f fails instead, and its error is reported
}

Interrupt::Interrupt() {
  interrupted = false;
  ++interrupts_alive;
}
Interrupt::~Interrupt() { --interrupts_alive; }
bool Interrupt::requested() { return interrupted; }

void Progress::show(double fraction, const std::string& what) {
  const auto now = std::chrono::steady_clock::now();
  const bool soon = fraction - last_ < 0.01 && now - last_time_ < std::chrono::milliseconds(500);
  if (!is_terminal(stderr) || (shown_ && soon && fraction < 1)) return;
  constexpr int width = 30;
  std::string bar(static_cast<std::size_t>(width), '.');
  std::fill_n(bar.begin(), static_cast<int>(fraction * width), '=');
  std::fprintf(stderr, "\r[%s] %3d%% %s\033[K", bar.c_str(), static_cast<int>(fraction * 100), what.c_str());
  std::fflush(stderr);
  shown_ = true;
  last_ = fraction;
  last_time_ = now;
}

void Progress::clear() {
  if (shown_) std::fprintf(stderr, "\r\033[K");
  shown_ = false;
}

namespace {

// Bytes or other things over time, from the first call on: what was done before it was not done by us.
class Meter {
 public:
  explicit Meter(const char* unit) : unit_(unit) {}

  std::string text(std::uint64_t done, std::uint64_t total) {
    if (!first_) {
      first_ = done;
      start_ = std::chrono::steady_clock::now();
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    std::string text = unit_ == nullptr ? human_bytes(done) + " of " + human_bytes(total)
                                        : std::to_string(done) + " of " + std::to_string(total) + " " + unit_;
    if (done <= *first_ || seconds < 1) return text;
    const double rate = static_cast<double>(done - *first_) / seconds;
    if (unit_ == nullptr) text += ", " + human_bytes(static_cast<std::uint64_t>(rate)) + "/s";
    return text + ", " + duration(static_cast<double>(total - done) / rate) + " left";
  }

 private:
  static std::string duration(double seconds) {
    char text[32];
    const auto n = static_cast<long long>(seconds);
    if (n < 60)
      std::snprintf(text, sizeof text, "%lld s", n);
    else if (n < 3600)
      std::snprintf(text, sizeof text, "%lld min", n / 60);
    else
      std::snprintf(text, sizeof text, "%lld h %02lld min", n / 3600, n / 60 % 60);
    return text;
  }

  const char* unit_;  // null: bytes
  std::optional<std::uint64_t> first_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace

std::function<void(std::uint64_t done, std::uint64_t total)> interruptible(Progress& progress,
                                                                           const char* what,
                                                                           const char* when_interrupted,
                                                                           const char* unit) {
  return [&progress, what, when_interrupted, meter = Meter(unit), logged = std::chrono::steady_clock::now()](
             std::uint64_t done, std::uint64_t total) mutable {
    if (Interrupt::requested()) throw Error(when_interrupted, 130);
    const double fraction = total == 0 ? 1 : static_cast<double>(done) / static_cast<double>(total);
    const std::string text = std::string(what) + ": " + meter.text(done, total);
    progress.show(fraction, text);
    const auto now = std::chrono::steady_clock::now();
    if (is_terminal(stderr) || now - logged < std::chrono::minutes(1)) return;
    std::fprintf(stderr, "%s (%d %%)\n", text.c_str(), static_cast<int>(fraction * 100));
    logged = now;
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
