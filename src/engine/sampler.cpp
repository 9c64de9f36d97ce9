#include "engine/sampler.h"

#include "kernels/kernels.h"

#include <algorithm>
#include <numeric>

namespace coterie {

SamplingOptions recommended(const SamplingHints& hints) {
  SamplingOptions options;
  options.temperature = hints.temperature.value_or(options.temperature);
  options.top_p = hints.top_p.value_or(options.top_p);
  options.top_k = hints.top_k.value_or(options.top_k);
  return options;
}

// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): every input bit reaches every output bit.
static std::uint64_t mix(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

double uniform_number(std::uint64_t seed, std::uint64_t position) {
  constexpr std::uint64_t golden = 0x9e3779b97f4a7c15u;
  const std::uint64_t bits = mix(mix(seed + golden) + (position + 1) * golden);
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

Sampler::Sampler(SamplingOptions options, std::int64_t n_vocab)
    : options_(std::move(options)),
      scores_(static_cast<std::size_t>(n_vocab)),
      occurrences_(static_cast<std::size_t>(n_vocab)),
      order_(static_cast<std::size_t>(n_vocab)) {}

Token Sampler::next(std::span<const float> logits, std::span<const Token> timeline) {
  // Beyond this a logit is broken arithmetic; so bounded (NaN counts as lowest), nothing below can overflow.
  constexpr float bound = 1e30f;
  constexpr float coldest = 1e-6f;  // below it only the best has a chance, and the quotients could overflow
  std::transform(logits.begin(), logits.end(), scores_.begin(),
                 [bound](float x) { return x > -bound ? std::min(x, bound) : -bound; });
  adjust(timeline);
  if (options_.temperature < coldest) return best();

  const Kernels& k = kernels();
  const std::int64_t n = static_cast<std::int64_t>(scores_.size());
  for (float& score : scores_) score /= options_.temperature;
  k.exp_minus(scores_[static_cast<std::size_t>(best())], n, scores_.data());

  const double u = uniform_number(options_.seed, timeline.size());
  const bool all = options_.top_k <= 0 && options_.top_p >= 1 && options_.min_p <= 0;
  return all ? draw_any(u) : draw_nucleus(u);
}

void Sampler::adjust(std::span<const Token> timeline) {
  for (const auto& [token, bias] : options_.logit_bias)
    if (token >= 0 && static_cast<std::size_t>(token) < scores_.size())
      scores_[static_cast<std::size_t>(token)] += bias;
  if (options_.repetition_penalty == 1 && options_.presence_penalty == 0 && options_.frequency_penalty == 0)
    return;

  const std::size_t window = static_cast<std::size_t>(std::max(options_.penalty_window, 0));
  const std::span<const Token> recent = timeline.last(std::min(window, timeline.size()));
  for (const Token token : recent) ++occurrences_[static_cast<std::size_t>(token)];
  for (const Token token : recent) {
    const std::size_t id = static_cast<std::size_t>(token);
    const int times = std::exchange(occurrences_[id], 0);
    if (times == 0) continue;  // it occurred before, and has been dealt with
    float& score = scores_[id];
    score = score > 0 ? score / options_.repetition_penalty : score * options_.repetition_penalty;
    score -= options_.presence_penalty + options_.frequency_penalty * static_cast<float>(times);
  }
}

Token Sampler::best() const {
  return static_cast<Token>(std::max_element(scores_.begin(), scores_.end()) -
                            scores_.begin());  // the first of equals
}

// Every token is a candidate: walk in id order, no sorting.
Token Sampler::draw_any(double u) const {
  double left = u * std::accumulate(scores_.begin(), scores_.end(), 0.0);
  for (std::size_t id = 0; id < scores_.size(); ++id)
    if ((left -= scores_[id]) < 0) return static_cast<Token>(id);
  return best();  // rounding only
}

// Takes candidates from a heap, best first, as long as the cuts allow; usually a handful of a large
// vocabulary.
Token Sampler::draw_nucleus(double u) {
  const auto worse = [this](Token a, Token b) {
    const float x = scores_[static_cast<std::size_t>(a)], y = scores_[static_cast<std::size_t>(b)];
    return x != y ? x < y : a > b;
  };
  const std::size_t n = order_.size();
  const std::size_t most = options_.top_k > 0 ? std::min(static_cast<std::size_t>(options_.top_k), n) : n;
  std::iota(order_.begin(), order_.end(), 0);
  std::make_heap(order_.begin(), order_.end(), worse);

  // With top-k, top-p is a share of what top-k keeps; so the mass is known only after those are popped.
  const auto weight = [this, n](std::size_t rank) {
    return static_cast<double>(scores_[static_cast<std::size_t>(order_[n - 1 - rank])]);
  };
  std::size_t popped = 0;
  const auto pop = [&] {
    std::pop_heap(order_.begin(), order_.end() - static_cast<std::ptrdiff_t>(popped++), worse);
  };
  double total = 0;
  if (most < n)
    while (popped < most) pop(), total += weight(popped - 1);
  else
    total = std::accumulate(scores_.begin(), scores_.end(), 0.0);

  double kept = 0;
  std::size_t n_kept = 0;
  while (n_kept < most && (n_kept == 0 || kept < options_.top_p * total)) {
    if (n_kept == popped) pop();
    if (n_kept > 0 && weight(n_kept) < options_.min_p * weight(0)) break;
    kept += weight(n_kept++);
  }

  double left = u * kept;
  for (std::size_t rank = 0; rank < n_kept; ++rank)
    if ((left -= weight(rank)) < 0) return order_[n - 1 - rank];
  return order_[n - n_kept];  // rounding only
}

}  // namespace coterie
