#include "cli/reply_printer.h"

#include "bench/probe.h"
#include "cli/terminal.h"

#include <cinttypes>
#include <cstdio>

namespace coterie::cli {

using Kind = text::ReplyPiece::Kind;

ReplyPrinter::ReplyPrinter() : colour_(use_colour(stdout)) {}

void ReplyPrinter::print(Kind kind, const std::string& text) {
  if (kind == Kind::reasoning && !in_reasoning_) {
    in_reasoning_ = true;
    std::fputs(colour_ ? "\033[2m" : "<think>\n", stdout);
  }
  if (kind == Kind::answer && in_reasoning_) leave_reasoning();
  // A terminal must not be steered by what a model says.
  const std::string shown = is_terminal(stdout) ? harmless(text) : text;
  std::fwrite(shown.data(), 1, shown.size(), stdout);
  flush_stdout();
  if (!text.empty()) line_open_ = text.back() != '\n';
}

void ReplyPrinter::leave_reasoning() {
  in_reasoning_ = false;
  if (line_open_) std::fputc('\n', stdout);
  std::fputs(colour_ ? "\033[0m\n" : "</think>\n\n", stdout);
}

void ReplyPrinter::finish() {
  if (in_reasoning_ && colour_) std::fputs("\033[0m", stdout);
  if (line_open_) std::fputc('\n', stdout);
  in_reasoning_ = line_open_ = false;
  flush_stdout();
}

static double rate(double amount, double seconds) { return seconds > 0 ? amount / seconds : 0; }

Figures figures_of(const Reply& reply, int threads) {
  Figures f;
  f.prompt_rate = rate(static_cast<double>(reply.n_prompt), reply.prompt_seconds);
  if (reply.n_steps == 0) return f;
  static const double bandwidth = bench::measure_read_bandwidth(threads);
  f.decode_rate = rate(static_cast<double>(reply.n_steps), reply.decode_seconds);
  f.bytes_per_second = rate(static_cast<double>(reply.step_bytes), reply.decode_seconds);
  f.bandwidth = bandwidth;
  return f;
}

std::string hex(std::uint64_t hash) {
  char text[17];
  std::snprintf(text, sizeof text, "%016" PRIx64, hash);
  return text;
}

std::string line_of(const Reply& reply, const Figures& f) {
  char text[256];
  std::snprintf(text, sizeof text, "prompt %lld tokens, %.1f tok/s; reply %lld tokens, %.1f tok/s, %.2f GB/s",
                static_cast<long long>(reply.n_prompt), f.prompt_rate, static_cast<long long>(reply.n_tokens),
                f.decode_rate, f.bytes_per_second / 1e9);
  std::string line = text;
  if (f.bandwidth > 0) {
    std::snprintf(text, sizeof text, " = %.1f %% of %.1f GB/s", 100 * f.bytes_per_second / f.bandwidth,
                  f.bandwidth / 1e9);
    line += text;
  }
  return line + "; logits " + hex(reply.logits_hash);
}

}  // namespace coterie::cli
