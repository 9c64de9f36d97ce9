// Logits, expert choices and greedy continuations against the reference implementations, F32 weights and
// cache.
#include "device/cpu/cpu.h"
#include "tests/models/reference.h"
#include "tests/support/gunzip.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

namespace coterie::test {

namespace {

// Correct implementations agree to 6e-5 (up to 1.6e-4 over 600 tokens); a wrong one is off by tenths.
constexpr double tolerance = 5e-4;

std::vector<std::string> golden_models() {
  std::vector<std::string> names{"v3-fp8-mtp",       "v3-yarn",          "v2-lite",  "v2",
                                 "r1-distill-llama", "r1-distill-qwen2", "qwen3-moe"};
  std::erase_if(names,
                [](const std::string& name) { return !has_golden("models/" + name + "/config.json"); });
  return names;
}

// The rows of logits that the reference holds for a prompt.
double logits_distance(const Reference& r, const std::string& prompt, std::span<const float> logits,
                       std::int64_t n_vocab) {
  if (r.has(prompt + ".logits")) return distance(logits, r.floats(prompt + ".logits"));
  const std::vector<float> expected = r.floats(prompt + ".logits_sel");
  const std::vector<int> rows = r.integers(prompt + ".sel");
  double largest = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto width = static_cast<std::size_t>(n_vocab);
    const auto row = static_cast<std::size_t>(rows[i]);
    largest = std::max(
        largest, distance(logits.subspan(row * width, width), std::span(expected).subspan(i * width, width)));
  }
  return largest;
}

// Tokens whose chosen experts differ from the reference although its margin leaves no doubt, and the largest
// difference of a weight among the others.
struct RouteFaults {
  int wrong_choices = 0;
  double weight_distance = 0;
};

RouteFaults compare_routes(const Reference& r, const std::string& prompt,
                           const std::vector<RouteRecord>& routes) {
  RouteFaults faults;
  for (const RouteRecord& layer : routes) {
    const std::string key = prompt + ".router." + std::to_string(layer.layer) + ".";
    const std::vector<int> ids = r.integers(key + "ids");
    const std::vector<float> weights = r.floats(key + "weights");
    const std::vector<float> margin = r.floats(key + "margin");
    const std::size_t k = layer.ids.at(0).size();
    for (std::size_t t = 0; t < layer.ids.size(); ++t) {
      if (margin[t] < 1e-4F) continue;
      for (std::size_t i = 0; i < k; ++i) {  // the reference lists experts in ascending order
        const auto found = std::find(ids.begin() + static_cast<std::ptrdiff_t>(t * k),
                                     ids.begin() + static_cast<std::ptrdiff_t>(t * k + k), layer.ids[t][i]);
        if (found == ids.begin() + static_cast<std::ptrdiff_t>(t * k + k)) {
          ++faults.wrong_choices;
          continue;
        }
        const float expected = weights[static_cast<std::size_t>(found - ids.begin())];
        faults.weight_distance =
            std::max(faults.weight_distance, std::abs(static_cast<double>(expected) - layer.weights[t][i]));
      }
    }
  }
  return faults;
}

std::vector<Token> greedy(const Engine& engine, const std::vector<Token>& prompt, int count) {
  Session session(engine);
  std::span<const float> logits = session.feed(prompt, Role::prompt);
  std::vector<Token> out;
  while (static_cast<int>(out.size()) < count) {
    const auto best = static_cast<Token>(std::max_element(logits.begin(), logits.end()) - logits.begin());
    out.push_back(best);
    logits = session.feed({&out.back(), 1}, Role::decode);
  }
  return out;
}

}  // namespace

TEST_CASE("logits and experts of every golden prompt agree with the reference in both roles") {
  for (const std::string& model : golden_models()) {
    const Reference r(model);
    const Engine engine(converted(model, "F32"), exact_options());
    for (const auto& entry : r.outputs.at("prompts").items()) {
      const std::string& prompt = entry.key();
      for (const Role role : {Role::prompt, Role::decode}) {
        INFO(model, " ", prompt, role == Role::prompt ? " prompt" : " decode");
        std::vector<RouteRecord> routes;
        const std::vector<float> logits = all_logits(engine, r.prompt(prompt), role, &routes);
        CHECK(logits_distance(r, prompt, logits, engine.n_vocab()) <= tolerance);
        if (!r.has(prompt + ".router.1.ids")) continue;
        const RouteFaults faults = compare_routes(r, prompt, routes);
        CHECK(faults.wrong_choices == 0);
        CHECK(faults.weight_distance <= tolerance);
      }
    }
  }
}

TEST_CASE("32 greedy tokens are those of the reference") {
  for (const std::string& model : golden_models()) {
    const Reference r(model);
    const Engine engine(converted(model, "F32"), exact_options());
    for (const auto& entry : r.outputs.at("greedy").items()) {
      const std::string& prompt = entry.key();
      INFO(model, " ", prompt);
      CHECK(greedy(engine, r.prompt(prompt), 32) == entry.value().at("ids").get<std::vector<Token>>());
    }
  }
}

}  // namespace coterie::test
