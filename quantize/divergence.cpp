#include "quantize/divergence.h"

#include <algorithm>
#include <cmath>
#include <span>

namespace coterie::quantize {

namespace {

constexpr std::int64_t step_tokens = 256;

// log of the sum of exponentials.
double normalizer(std::span<const float> logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float x : logits) sum += std::exp(x - largest);
  return largest + std::log(sum);
}

double divergence_of(std::span<const float> reference, std::span<const float> logits) {
  const double p_norm = normalizer(reference), q_norm = normalizer(logits);
  double sum = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double log_p = reference[i] - p_norm;
    sum += std::exp(log_p) * (log_p - (logits[i] - q_norm));
  }
  return std::max(sum, 0.0);
}

}  // namespace

Divergence::Divergence(const gguf::Reader& file, std::vector<std::vector<Token>> windows, int threads,
                       std::int64_t max_bytes)
    : file_(file), windows_(std::move(windows)), team_(threads), cpu_(kernels(), team_) {
  n_vocab_ = load_model(file_)->sizes().n_vocab;
  std::int64_t positions = 0;
  for (const std::vector<Token>& w : windows_) {
    longest_ = std::max(longest_, static_cast<std::int64_t>(w.size()));
    positions += static_cast<std::int64_t>(w.size());
  }
  const std::int64_t room = std::max<std::int64_t>(1, max_bytes / (n_vocab_ * 4));
  stride_ = std::max<std::int64_t>(1, (positions + room - 1) / room);
  read(&reference_);
}

double Divergence::measure() {
  std::vector<float> logits;
  read(&logits);
  const auto width = static_cast<std::size_t>(n_vocab_);
  const std::size_t n = logits.size() / width;
  std::vector<double> each(n);
  team_.step([&] {
    team_.run(static_cast<int>(n), [&](int i, int) {
      const std::size_t at = static_cast<std::size_t>(i) * width;
      each[static_cast<std::size_t>(i)] =
          divergence_of(std::span(reference_).subspan(at, width), std::span(logits).subspan(at, width));
    });
  });
  double sum = 0;  // in the order of the positions, whoever computed them
  for (const double d : each) sum += d;
  return sum / static_cast<double>(std::max<std::size_t>(n, 1));
}

void Divergence::read(std::vector<float>* kept) {
  const std::unique_ptr<Model> model = load_model(file_);
  const std::unique_ptr<ModelState> state =
      model->new_state(cpu_, {.positions = longest_, .max_tokens = step_tokens, .cache = CacheType::f32});
  std::vector<float> logits(static_cast<std::size_t>(step_tokens * n_vocab_));
  std::int64_t position = 0;
  for (const std::vector<Token>& window : windows_)
    for (std::size_t first = 0; first < window.size(); first += step_tokens) {
      const std::span<const Token> tokens =
          std::span(window).subspan(first, std::min<std::size_t>(step_tokens, window.size() - first));
      const auto n = static_cast<std::int64_t>(tokens.size());
      const Step step{.tokens = tokens,
                      .position = static_cast<std::int64_t>(first),
                      .role = Role::prompt,
                      .n_logits = n,
                      .logits = logits.data(),
                      .routes = nullptr};
      team_.step([&] { model->forward(cpu_, *state, step); });
      file_.check_io();
      for (std::int64_t i = 0; i < n; ++i, ++position)
        if (position % stride_ == 0)
          kept->insert(kept->end(), logits.begin() + i * n_vocab_, logits.begin() + (i + 1) * n_vocab_);
    }
}

}  // namespace coterie::quantize
