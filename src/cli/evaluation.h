// Texts and problems put to models: what eval does, and what it shares with quantize --report.
#pragma once

#include "engine/engine.h"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace coterie::cli {

struct Evaluation {
  std::optional<std::string> text, problems;  // files
  Role role = Role::prompt;
  std::int64_t window = 512;       // tokens of text after which the context starts anew
  bool special = false;            // special tokens in the text count as such, and each BOS starts anew
  std::int64_t max_tokens = 2048;  // of one reply
  EngineOptions engine;
};

// score_text() of the text; with a reference (another model's path) also the distance to it.
nlohmann::ordered_json evaluate_text(const Evaluation& e, const std::string& model,
                                     const std::optional<std::string>& reference);

// scores_of() the problems.
nlohmann::ordered_json evaluate_problems(const Evaluation& e, const std::string& model);

// What a file has lost, against its original: what report_page() reads. Incomplete after Ctrl-C.
nlohmann::ordered_json evaluate_loss(const Evaluation& e, const std::string& model,
                                     const std::string& original);

// Throws what evaluate_loss() would throw at once: files that cannot be read, an original that does not run.
void check_evaluation(const Evaluation& e, const std::string& original);

// The page, and the JSON beside it. Returns the page.
std::string write_report(const std::string& page, const nlohmann::ordered_json& report);
// Throws UsageError where the page would be its own JSON.
void check_report_name(const std::string& command, const std::string& page);

std::string pretty(const nlohmann::ordered_json& json);  // indented, with a line end

}  // namespace coterie::cli
