// Problems with one right answer: JSON lines {id, family, language, prompt, answer}, answered greedily,
// compared exactly.
#pragma once

#include "engine/engine.h"

#include <nlohmann/json_fwd.hpp>

#include <functional>
#include <string>
#include <vector>

namespace coterie::cli {

struct Problem {
  std::string id, family, language, prompt, answer;
  std::string given;  // the last line of the model's answer
  bool correct = false;
  std::int64_t tokens = 0;
};

std::vector<Problem> read_problems(const std::string& path);  // throws Error naming file and line

struct ProblemOptions {
  std::int64_t max_tokens;                         // of one reply
  int at_once;                                     // sessions side by side, each with the engine's threads
  std::function<void(std::size_t done)> progress;  // from one thread at a time
  std::function<bool()> cancelled;
};

// Fills in what the model gave. The order of the answers does not depend on at_once.
void solve(const Engine& engine, const ProblemOptions& options, std::vector<Problem>* problems);

nlohmann::ordered_json scores_of(
    const std::vector<Problem>& problems);  // {"overall", "by_family", "by_language", ...}

}  // namespace coterie::cli
