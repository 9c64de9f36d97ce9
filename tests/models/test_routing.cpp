// The router on small cases that can be worked out by hand.
#include "models/moe.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace coterie {

namespace {

struct Chosen {
  std::vector<int> ids;
  std::vector<float> weights;
};

Chosen choose(const Routing& r, std::vector<float> logits, const float* bias = nullptr) {
  const auto n = static_cast<std::size_t>(r.n_used);
  Chosen c{std::vector<int>(n), std::vector<float>(n)};
  std::vector<float> scratch(static_cast<std::size_t>(choose_scratch(r)));
  choose_experts(kernels(), r, bias, logits.data(), scratch.data(), {c.ids.data(), c.weights.data()});
  return c;
}

Routing routing(Gating gating, std::int64_t groups, std::int64_t groups_used, std::int64_t used) {
  return {.n_experts = 8,
          .n_used = used,
          .n_groups = groups,
          .n_groups_used = groups_used,
          .gating = gating,
          .normalize = false,
          .scale = 1.0F};
}

}  // namespace

TEST_CASE("sigmoid groups are scored by their two best, softmax groups by their best") {
  // Group 0 holds the single best expert, group 1 the best pair.
  const std::vector<float> logits{3, -9, -9, -9, 2, 2, -9, -9};
  CHECK(choose(routing(Gating::sigmoid, 2, 1, 2), logits).ids == std::vector<int>{4, 5});
  CHECK(choose(routing(Gating::softmax, 2, 1, 2), logits).ids == std::vector<int>{0, 1});
}

TEST_CASE(
    "the bias moves the selection and not the weights, and a dropped group stays out when all scores are "
    "negative") {
  const std::vector<float> bias{-5, -5, -5, -5, -4, -4, -5, -5};
  const std::vector<float> logits{2, 2, 2, 2, 0, 0, 0, 0};
  const Chosen c = choose(routing(Gating::sigmoid, 2, 1, 4), logits, bias.data());
  CHECK(c.ids == std::vector<int>{4, 5, 6, 7});
  for (const float w : c.weights) CHECK(w == 0.5F);
}

TEST_CASE("experts come in rank order, equal scores by index, weights normalised and scaled") {
  Routing r = routing(Gating::sigmoid, 1, 1, 3);
  r.normalize = true;
  r.scale = 2.5F;
  const Chosen c = choose(r, {0, 1, 5, 1, 0, 0, 0, 0});
  CHECK(c.ids == std::vector<int>{2, 1, 3});
  CHECK(std::abs(c.weights[0] + c.weights[1] + c.weights[2] - 2.5F) < 1e-6F);
  CHECK(c.weights[1] == c.weights[2]);
}

TEST_CASE("experts that nobody wants weigh nothing, normalised or not") {
  Routing r = routing(Gating::sigmoid, 1, 1, 2);
  r.normalize = true;
  for (const float w : choose(r, std::vector<float>(8, -1000.0F)).weights) CHECK(w == 0.0F);
}

TEST_CASE("softmax weights sum to one over all experts") {
  const Chosen c = choose(routing(Gating::softmax, 1, 1, 8), {0, 1, 2, 3, 4, 5, 6, 7});
  float sum = 0;
  for (const float w : c.weights) sum += w;
  CHECK(std::abs(sum - 1.0F) < 1e-6F);
  CHECK(c.ids == std::vector<int>{7, 6, 5, 4, 3, 2, 1, 0});
}

TEST_CASE("logits that are no numbers choose legal experts, each at most once") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> none(8, nan), some{nan, 1, -inf, nan, inf, nan, nan, nan};
  const std::vector<float> bias(8, -inf);
  for (const Gating gating : {Gating::sigmoid, Gating::softmax})
    for (const std::vector<float>& logits : {none, some})
      for (const float* b : {static_cast<const float*>(nullptr), bias.data()}) {
        std::vector<int> ids = choose(routing(gating, 4, 2, 4), logits, b).ids;
        std::sort(ids.begin(), ids.end());
        CHECK(ids.front() >= 0);
        CHECK(ids.back() < 8);
        CHECK(std::adjacent_find(ids.begin(), ids.end()) == ids.end());
      }
}

}  // namespace coterie
