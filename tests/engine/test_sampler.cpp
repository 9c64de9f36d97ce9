// The sampler: which tokens can be drawn, how often, and that the draw depends on nothing but seed and
// position.
#include "engine/sampler.h"

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <vector>

namespace coterie {

namespace {

using Set = std::set<Token>;

// Logits whose softmax at temperature 1 is these probabilities.
std::vector<float> logits_of(const std::vector<double>& probabilities) {
  std::vector<float> logits;
  for (const double p : probabilities) logits.push_back(static_cast<float>(std::log(p)));
  return logits;
}

SamplingOptions plain(float temperature = 1.0f) {
  SamplingOptions options;
  options.temperature = temperature;
  options.top_p = 1.0f;
  return options;
}

// How often each token is drawn at positions 0 .. n-1.
std::map<Token, int> draw(const SamplingOptions& options, const std::vector<float>& logits, int n) {
  Sampler sampler(options, static_cast<std::int64_t>(logits.size()));
  std::vector<Token> timeline;
  std::map<Token, int> seen;
  for (int i = 0; i < n; ++i) {
    ++seen[sampler.next(logits, timeline)];
    timeline.push_back(0);
  }
  return seen;
}

Set drawn(const SamplingOptions& options, const std::vector<float>& logits) {
  Set set;
  for (const auto& [token, times] : draw(options, logits, 4000)) set.insert(token);
  return set;
}

// Chi squared of observed counts against probabilities; with 5 classes the 99.99 % point is 23.5.
double chi_squared(const std::map<Token, int>& seen, const std::vector<double>& probabilities, int n) {
  double sum = 0;
  for (std::size_t id = 0; id < probabilities.size(); ++id) {
    const auto found = seen.find(static_cast<Token>(id));
    const double expected = probabilities[id] * n, observed = found == seen.end() ? 0 : found->second;
    sum += (observed - expected) * (observed - expected) / expected;
  }
  return sum;
}

std::vector<double> sharpened(const std::vector<double>& probabilities, double temperature) {
  std::vector<double> result;
  for (const double p : probabilities) result.push_back(std::pow(p, 1 / temperature));
  const double total = std::accumulate(result.begin(), result.end(), 0.0);
  for (double& p : result) p /= total;
  return result;
}

const std::vector<double> five{0.1, 0.4, 0.05, 0.25, 0.2};  // best first: 1, 3, 4, 0, 2

Token greedy(SamplingOptions options, const std::vector<float>& logits, const std::vector<Token>& timeline) {
  options.temperature = 0;
  return Sampler(options, static_cast<std::int64_t>(logits.size())).next(logits, timeline);
}

}  // namespace

TEST_CASE("the random numbers are those of the definition") {
  // Computed from the definition with arbitrary-precision integers in Python.
  CHECK(uniform_number(0, 0) == 0x1.4e0dba5e9a32fp-1);
  CHECK(uniform_number(0, 1) == 0x1.6705460be8829p-1);
  CHECK(uniform_number(1, 0) == 0x1.7906ac21d0e58p-2);
  CHECK(uniform_number(42, 1000000) == 0x1.0a0bb53d1522bp-1);
  CHECK(uniform_number(std::numeric_limits<std::uint64_t>::max(), 7) == 0x1.729d8d409af68p-1);
}

TEST_CASE("temperature 0 takes the best, and of equals the lowest id") {
  CHECK(greedy({}, {1.0f, 3.0f, 2.0f, 3.0f}, {}) == 1);
  CHECK(greedy({}, {-5.0f, -5.0f}, {}) == 0);
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  CHECK(greedy({}, {nan, -inf, -3.0f}, {}) == 2);
}

TEST_CASE("no temperature is so low that the arithmetic overflows") {
  for (const float temperature : {1e-45f, 1e-40f, 1e-30f, 2e-6f}) {
    CHECK(drawn(plain(temperature), {-20.0f, 19.0f, 20.0f, 18.0f}) == Set{2});
    CHECK(drawn(plain(temperature), {-1e30f, 0.0f, 1e30f}) == Set{2});
  }
}

TEST_CASE("draws follow the softmax at each temperature, and the test notices another temperature") {
  constexpr int n = 20000;
  for (const float temperature : {0.6f, 1.0f, 1.5f}) {
    const auto seen = draw(plain(temperature), logits_of(five), n);
    CHECK(chi_squared(seen, sharpened(five, temperature), n) < 23.5);
    CHECK(chi_squared(seen, sharpened(five, temperature * 1.1), n) > 23.5);
  }
}

TEST_CASE("drawing from a cut that removes nothing follows the same distribution") {
  constexpr int n = 20000;
  SamplingOptions options = plain();
  options.top_k = 5;
  CHECK(chi_squared(draw(options, logits_of(five), n), five, n) < 23.5);
  options = plain();
  options.min_p = 0.01f;
  CHECK(chi_squared(draw(options, logits_of(five), n), five, n) < 23.5);
}

TEST_CASE("top-k keeps exactly the k best") {
  SamplingOptions options = plain();
  const std::array<Set, 5> expected{Set{1}, {1, 3}, {1, 3, 4}, {0, 1, 3, 4}, {0, 1, 2, 3, 4}};
  for (int k = 1; k <= 5; ++k) {
    options.top_k = k;
    CHECK(drawn(options, logits_of(five)) == expected[static_cast<std::size_t>(k - 1)]);
  }
  options.top_k = 2;
  CHECK(drawn(options, {1.0f, 1.0f, 1.0f, 0.0f}) == Set{0, 1});  // a tie goes to the lower id
}

TEST_CASE("top-p keeps the fewest candidates that reach it") {
  SamplingOptions options = plain();
  const std::vector<std::pair<float, Set>> cases{
      {0.0f, {1}},        {0.39f, {1}},       {0.41f, {1, 3}},       {0.64f, {1, 3}},
      {0.66f, {1, 3, 4}}, {0.84f, {1, 3, 4}}, {0.86f, {0, 1, 3, 4}}, {0.96f, {0, 1, 2, 3, 4}}};
  for (const auto& [top_p, expected] : cases) {
    options.top_p = top_p;
    INFO("top_p ", options.top_p);
    CHECK(drawn(options, logits_of(five)) == expected);
  }
}

TEST_CASE("top-p after top-k is a share of what top-k keeps") {
  SamplingOptions options = plain();
  options.top_k = 2;  // 0.4 and 0.25 of 0.65: 0.615 and 0.385
  options.top_p = 0.60f;
  CHECK(drawn(options, logits_of(five)) == Set{1});
  options.top_p = 0.63f;
  CHECK(drawn(options, logits_of(five)) == Set{1, 3});
}

TEST_CASE("min-p keeps what is likely enough beside the best") {
  SamplingOptions options = plain();
  const std::vector<std::pair<float, Set>> cases{
      {0.12f, {0, 1, 2, 3, 4}}, {0.13f, {0, 1, 3, 4}}, {0.26f, {1, 3, 4}},
      {0.51f, {1, 3}},          {0.63f, {1}},          {1.0f, {1}}};
  for (const auto& [min_p, expected] : cases) {
    options.min_p = min_p;
    INFO("min_p ", options.min_p);
    CHECK(drawn(options, logits_of(five)) == expected);
  }
  options.min_p = 1.0f;  // as likely is likely enough
  CHECK(drawn(options, {2.0f, 1.0f, 2.0f}) == Set{0, 2});
}

TEST_CASE("penalties act on the recent tokens by their formulas") {
  SamplingOptions options;
  const std::vector<float> logits{2.0f, 1.5f, -1.0f, -1.2f};
  options.repetition_penalty = 1.3f;  // 2 / 1.3 is still above 1.5
  CHECK(greedy(options, logits, {0, 0}) == 0);
  options.repetition_penalty = 1.4f;
  CHECK(greedy(options, logits, {0, 0}) == 1);
  CHECK(greedy(options, {-1.0f, -1.2f}, {0}) == 1);  // a negative logit is multiplied
  options.repetition_penalty = 1.0f;
  options.presence_penalty = 0.4f;  // once, however often it occurs
  CHECK(greedy(options, logits, {0, 0, 0}) == 0);
  options.presence_penalty = 0.6f;
  CHECK(greedy(options, logits, {0}) == 1);
  options.presence_penalty = 0;
  options.frequency_penalty = 0.2f;
  CHECK(greedy(options, logits, {0, 0}) == 0);
  CHECK(greedy(options, logits, {0, 0, 0}) == 1);
}

TEST_CASE("a token that left the penalty window is free again") {
  SamplingOptions options;
  options.presence_penalty = 5;
  options.penalty_window = 2;
  CHECK(greedy(options, {2.0f, 1.0f, 0.0f}, {0, 2}) == 1);
  CHECK(greedy(options, {2.0f, 1.0f, 0.0f}, {0, 2, 2}) == 0);
  options.penalty_window = 0;
  CHECK(greedy(options, {2.0f, 1.0f, 0.0f}, {0}) == 0);
}

TEST_CASE("occurrences do not add up from step to step") {
  SamplingOptions options;
  options.temperature = 0;
  options.frequency_penalty = 0.2f;
  Sampler sampler(options, 2);
  for (int step = 0; step < 10; ++step)
    CHECK(sampler.next(std::vector<float>{2.0f, 1.5f}, std::vector<Token>{0, 0}) == 0);
}

TEST_CASE("a logit bias forces and forbids") {
  SamplingOptions options = plain();
  options.logit_bias = {{1, -100.0f}, {2, -100.0f}, {77, 100.0f}, {-1, 100.0f}};
  CHECK(drawn(options, logits_of(five)) == Set{0, 3, 4});
  options.logit_bias = {{2, 100.0f}};
  CHECK(drawn(options, logits_of(five)) == Set{2});
}

TEST_CASE("the draw is a function of seed and position") {
  SamplingOptions options;
  options.temperature = 1;
  const std::vector<float> logits = logits_of(five);
  CHECK(draw(options, logits, 200) == draw(options, logits, 200));
  const std::vector<Token> here(17), there(18);
  std::set<Token> by_seed, by_position;
  for (options.seed = 0; options.seed < 50; ++options.seed) {
    Sampler sampler(options, 5);
    const Token first = sampler.next(logits, here);
    sampler.next(logits, there);
    CHECK(sampler.next(logits, here) == first);  // no state between the calls
    by_seed.insert(first);
    by_position.insert(first == sampler.next(logits, there));
  }
  CHECK(by_seed.size() > 1);
  CHECK(by_position.size() == 2);
}

TEST_CASE("a whole vocabulary of equals is drawn evenly and in bounds") {
  const std::vector<float> logits(129280, 0.25f);
  SamplingOptions options = plain();
  for (const float top_p : {1.0f, 0.5f}) {
    options.top_p = top_p;
    Sampler sampler(options, static_cast<std::int64_t>(logits.size()));
    double mean = 0;
    for (int i = 0; i < 20; ++i) {
      const std::vector<Token> timeline(static_cast<std::size_t>(i));
      const Token token = sampler.next(logits, timeline);
      CHECK((token >= 0 && token < static_cast<Token>(top_p * 129280 + 1)));
      mean += token / 20.0;
    }
    CHECK(mean / 129280 == doctest::Approx(top_p / 2).epsilon(0.35));
  }
}

TEST_CASE("the file's recommendation comes before DeepSeek's") {
  CHECK(recommended({}).temperature == 0.6f);
  CHECK(recommended({}).top_p == 0.95f);
  CHECK(recommended({}).top_k == 0);
  const SamplingOptions options = recommended({.temperature = 0.3f, .top_p = 0.8f, .top_k = 40});
  CHECK(options.temperature == 0.3f);
  CHECK(options.top_p == 0.8f);
  CHECK(options.top_k == 40);
}

}  // namespace coterie
