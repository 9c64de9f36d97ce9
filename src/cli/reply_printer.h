// A reply on stdout as it streams in: reasoning dimmed on a terminal, in <think> tags elsewhere. And the line
// of figures that follows on stderr.
#pragma once

#include "engine/generate.h"

#include <string>

namespace coterie::cli {

class ReplyPrinter {
 public:
  ReplyPrinter();
  void print(text::ReplyPiece::Kind kind, const std::string& text);
  void finish();  // ends the line and the colour

 private:
  void leave_reasoning();

  const bool colour_;
  bool in_reasoning_ = false;
  bool line_open_ = false;
};

// Tokens per second of prompt and reply, bytes read per second and their share of the bandwidth, hash of the
// last logits.
struct Figures {
  double prompt_rate = 0, decode_rate = 0;     // tokens per second; 0: nothing to measure
  double bytes_per_second = 0, bandwidth = 0;  // of the decode steps; of this machine (0: unknown)
};
Figures figures_of(const Reply& reply, int threads);  // measures the bandwidth, once per process
std::string line_of(const Reply& reply, const Figures& figures);
std::string hex(std::uint64_t hash);

}  // namespace coterie::cli
