#include "cli/eval_text.h"

#include "base/errors.h"
#include "engine/prompt.h"
#include "gguf/reader.h"
#include "text/tokenizer.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <memory>
#include <span>
#include <vector>

namespace coterie::cli {

namespace {

using Row = std::span<const float>;

std::size_t best_of(Row logits) {
  return static_cast<std::size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

// log of the sum of exponentials: what turns a logit into a log-probability.
double normalizer(Row logits) {
  const double largest = logits[best_of(logits)];
  double sum = 0;
  for (const float x : logits) sum += std::exp(x - largest);
  return largest + std::log(sum);
}

// sum over the vocabulary of p log (p / q), p the reference's probabilities.
double divergence(Row reference, Row logits) {
  const double p_norm = normalizer(reference), q_norm = normalizer(logits);
  double sum = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double log_p = reference[i] - p_norm;
    sum += std::exp(log_p) * (log_p - (logits[i] - q_norm));
  }
  return std::max(sum, 0.0);  // below zero by rounding only
}

class TextScore {
 public:
  // The logits of one position, the token that follows it, and the reference's logits there (empty: none).
  void add(Row logits, Token following, Row reference) {
    const std::size_t id = static_cast<std::size_t>(following);
    loss_ += normalizer(logits) - logits[id];
    ++n_;
    if (reference.empty()) return;
    reference_loss_ += normalizer(reference) - reference[id];
    divergences_.push_back(divergence(reference, logits));
    agreements_ += best_of(reference) == best_of(logits) ? 1 : 0;
  }

  nlohmann::ordered_json json() {
    const double n = static_cast<double>(std::max<std::int64_t>(n_, 1));
    nlohmann::ordered_json json{{"tokens", n_}, {"perplexity", std::exp(loss_ / n)}};
    if (divergences_.empty()) return json;
    std::sort(divergences_.begin(), divergences_.end());
    double sum = 0;
    for (const double d : divergences_) sum += d;
    json["reference_perplexity"] = std::exp(reference_loss_ / n);
    json["kl_mean"] = sum / n;
    json["kl_p99"] = divergences_[(divergences_.size() - 1) * 99 / 100];
    json["kl_max"] = divergences_.back();
    json["top1_agreement"] = static_cast<double>(agreements_) / n;
    return json;
  }

 private:
  std::int64_t n_ = 0, agreements_ = 0;
  double loss_ = 0, reference_loss_ = 0;
  std::vector<double> divergences_;
};

// One window through both models, a few positions at a time, so that the reference's logits stay small.
void score_window(std::span<const Token> window, Role role, Session& session, Session* reference,
                  TextScore* score) {
  constexpr std::size_t piece = 32;
  session.truncate(0);
  if (reference != nullptr) reference->truncate(0);
  std::vector<float> kept;
  for (std::size_t first = 0; first + 1 < window.size(); first += piece) {
    const std::span<const Token> tokens = window.subspan(first, std::min(piece, window.size() - 1 - first));
    kept.clear();
    if (reference != nullptr)
      reference->feed_all(tokens, role, [&](std::int64_t, Row logits) {
        kept.insert(kept.end(), logits.begin(), logits.end());
      });
    session.feed_all(tokens, role, [&](std::int64_t position, Row logits) {
      const std::size_t at = static_cast<std::size_t>(position);
      const Row other = kept.empty() ? Row() : Row(kept).subspan((at - first) * logits.size(), logits.size());
      score->add(logits, window[at + 1], other);
    });
  }
}

}  // namespace

nlohmann::ordered_json score_text(const Engine& engine, const Engine* reference, const std::string& text,
                                  const TextOptions& options) {
  if (reference != nullptr &&
      reference->tokenizer().vocabulary().tokens != engine.tokenizer().vocabulary().tokens)
    throw UsageError(reference->file().path() + ": found another vocabulary than that of " +
                     engine.file().path());
  const auto windows = text::windows_of(engine.tokenizer(), text, options.window, options.special);
  if (std::ranges::none_of(windows, [](const auto& w) { return w.size() > 1; }))
    throw Error("--text: found too few tokens, expected enough to predict one");

  Session session(engine);
  const std::unique_ptr<Session> other =
      reference == nullptr ? nullptr : std::make_unique<Session>(*reference);
  TextScore score;
  std::size_t done = 0;
  for (const std::vector<Token>& window : windows) {
    if (options.cancelled()) break;
    score_window(window, options.role, session, other.get(), &score);
    options.progress(static_cast<double>(++done) / static_cast<double>(windows.size()));
  }
  return score.json();
}

}  // namespace coterie::cli
