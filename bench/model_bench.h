// How fast a model answers: decode and prompts at depths of the timeline, several tokens at once.
//
// Repetitions are the outer loop, so that a machine that drifts drifts through all tests alike.
#pragma once

#include "engine/engine.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace coterie::bench {

struct BenchPlan {
  std::vector<std::int64_t> depths{0, 4096, 16384, 65536};  // rows in the cache before
  std::vector<std::int64_t> batches{1, 2, 4, 8,
                                    32};   // produced tokens per step; all at the first depth, else 1
  std::vector<std::int64_t> prompts{512};  // tokens
  std::int64_t steps = 16;                 // of decode
  int repetitions = 3;
  int busy = 0;  // also decode beside so many processes that keep a core busy each; 0: not
};

// What another program reported of the same test.
struct Rate {
  Role role;
  std::int64_t depth, tokens;
  double tokens_per_s;
};

// One test. A step of several produced tokens is one timeline's (drafts being verified), not several users'.
struct Measurement {
  Role role;
  std::int64_t depth;
  std::int64_t tokens;                        // per step; of a prompt: all
  std::int64_t steps;                         // per repetition
  TokenCost cost;                             // of one token at this depth
  std::vector<double> seconds{};              // by repetition
  std::vector<std::vector<double>> rivals{};  // their tokens per second, by rival and repetition

  int busy = 0;  // processes that keep a core busy each, meanwhile
  // By repetition: what the machine reached right before and after, bytes (decode) or operations (prompt) per second.
  std::vector<double> limits{};

  bool same_test(const Rate& r) const {
    return busy == 0 && role == r.role && depth == r.depth && tokens == r.tokens;
  }

  double rate(double seconds_taken) const {  // tokens per second
    return static_cast<double>(tokens * steps) / seconds_taken;
  }
  double median() const;  // of the rate
  double lowest() const;
  double highest() const;
  // Median over the repetitions of what a token costs (bytes, operations) x rate / limit; 0: no limit is known.
  double share_of_limit(double cost_of_token) const;
  double kept_of(const Measurement& quiet) const;  // median of rate / the quiet one's rate, in turns
  double median_of(std::size_t rival) const;       // 0: it reported none
  double median_ratio(std::size_t rival) const;    // ours / theirs, of the repetitions they took turns in
};

// The depths that fit the model's context and half of the free memory, and the context an engine needs for them.
BenchPlan fitting(BenchPlan plan, const Engine& engine);
std::int64_t context_of(const BenchPlan& plan);

// Called before each test with the share of all work that is done; throws to end early.
using BenchProgress = std::function<void(double share, const Measurement& next)>;
std::vector<Measurement> measure(const Engine& engine, const BenchPlan& plan, const BenchProgress& progress);

}  // namespace coterie::bench
