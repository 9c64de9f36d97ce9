// How well a model predicts a text, and how far its predictions are from a reference model's.
#pragma once

#include "engine/engine.h"
#include "text/windows.h"

#include <nlohmann/json_fwd.hpp>

#include <functional>
#include <string>

namespace coterie::cli {

struct TextOptions {
  Role role;
  std::int64_t window;    // tokens; each window starts anew
  text::Special special;  // parse: every BOS in the text starts one too
  std::function<void(double fraction)> progress;
  std::function<bool()> cancelled;
};

// {"tokens", "perplexity", and with a reference: "reference_perplexity", "kl_mean", "kl_p99", "kl_max",
// "top1_agreement"}. Natural logarithms; every token but a window's first counts. Throws UsageError where the
// vocabularies differ.
nlohmann::ordered_json score_text(const Engine& engine, const Engine* reference, const std::string& text,
                                  const TextOptions& options);

}  // namespace coterie::cli
