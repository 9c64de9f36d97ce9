// From logits to the next token. The choice is a pure function of options, logits and timeline: the random
// number of a position comes from (seed, position) alone, exponentials from the kernel table and every sum
// has one order. So the same seed gives the same bytes on any machine, after a resume and in any batch.
//
// Order of the steps: logit bias, penalties, temperature, then the candidates best first (a tie goes to the
// lower id), cut by top-k, top-p and min-p, each of which keeps at least the best one.
#pragma once

#include "engine/engine.h"

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace coterie {

struct SamplingOptions {
  float temperature = 0.6f;         // 0: greedy. The two defaults are what DeepSeek recommends for R1
  float top_p = 0.95f;              // fewest best candidates whose probabilities reach this; 1: all
  int top_k = 0;                    // 0: all
  float min_p = 0.0f;               // candidates at least this much times as likely as the best; 0: all
  float repetition_penalty = 1.0f;  // divides positive and multiplies negative logits of recent tokens
  float presence_penalty = 0.0f;    // subtracted from a recent token's logit once
  float frequency_penalty = 0.0f;   // subtracted for each time it occurs
  int penalty_window = 64;          // tokens at the end of the timeline that count as recent
  std::uint64_t seed = 0;
  std::vector<std::pair<Token, float>> logit_bias;  // added; ids outside the vocabulary are ignored
};

// The defaults above, where the file does not recommend others.
SamplingOptions recommended(const SamplingHints& hints);

// In [0, 1), 53 bits, the same on every machine.
double uniform_number(std::uint64_t seed, std::uint64_t position);

class Sampler {
 public:
  Sampler(SamplingOptions options, std::int64_t n_vocab);
  Token next(std::span<const float> logits, std::span<const Token> timeline);  // allocates nothing
  const SamplingOptions& options() const { return options_; }

 private:
  void adjust(std::span<const Token> timeline);
  Token best() const;
  Token draw_any(double u) const;
  Token draw_nucleus(double u);

  SamplingOptions options_;
  std::vector<float> scores_;     // adjusted logits, then weights exp(score - largest score)
  std::vector<int> occurrences_;  // by token, within the window; all zero between steps
  std::vector<Token> order_;      // a heap of candidates, the best ones popped to the back
};

}  // namespace coterie
