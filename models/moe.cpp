#include "models/moe.h"

#include <algorithm>
#include <limits>

namespace coterie {

namespace {

constexpr float out_of_reach = -std::numeric_limits<float>::infinity();

// Below every score of a sound model, and within reach: an expert whose score is no number is still chosen at most once.
constexpr float lowest = -1e30F;

// Index of the largest value, the first of equals.
std::int64_t best_of(const float* x, std::int64_t n) {
  std::int64_t best = 0;
  float top = out_of_reach;
  for (std::int64_t i = 0; i < n; ++i)
    if (x[i] > top) {
      top = x[i];
      best = i;
    }
  return best;
}

float group_score(const float* x, std::int64_t n, Gating gating) {
  const std::int64_t best = best_of(x, n);
  if (gating == Gating::softmax) return x[best];
  float second = out_of_reach;
  for (std::int64_t i = 0; i < n; ++i)
    if (i != best) second = std::max(second, x[i]);
  return n == 1 ? x[best] : x[best] + second;
}

// Puts every group but the best n_groups_used out of reach.
void limit_groups(const Routing& r, float* selection, float* scores) {
  const std::int64_t size = r.n_experts / r.n_groups;
  for (std::int64_t g = 0; g < r.n_groups; ++g) scores[g] = group_score(selection + g * size, size, r.gating);
  for (std::int64_t i = 0; i < r.n_groups_used; ++i) scores[best_of(scores, r.n_groups)] = out_of_reach;
  for (std::int64_t g = 0; g < r.n_groups; ++g)
    if (scores[g] != out_of_reach) std::fill_n(selection + g * size, size, out_of_reach);
}

void affinities(const Kernels& k, const Routing& r, float* s) {
  if (r.gating == Gating::sigmoid) {
    k.sigmoid(r.n_experts, s);
    return;
  }
  k.exp_minus(k.max(s, r.n_experts), r.n_experts, s);
  const float sum = k.sum(s, r.n_experts);
  for (std::int64_t e = 0; e < r.n_experts; ++e) s[e] /= sum;
}

}  // namespace

void choose_experts(const Kernels& k, const Routing& r, const float* bias, float* logits, float* scratch,
                    Choice out) {
  affinities(k, r, logits);
  float* selection = scratch;
  for (std::int64_t e = 0; e < r.n_experts; ++e) {
    const float score = bias == nullptr ? logits[e] : logits[e] + bias[e];
    selection[e] = score > lowest ? score : lowest;  // NaN too
  }
  if (r.n_groups > 1) limit_groups(r, selection, scratch + r.n_experts);
  float sum = 0;
  for (std::int64_t rank = 0; rank < r.n_used; ++rank) {
    const std::int64_t e = best_of(selection, r.n_experts);
    selection[e] = out_of_reach;
    out.ids[rank] = static_cast<int>(e);
    out.weights[rank] = logits[e];
    sum += logits[e];
  }
  for (std::int64_t rank = 0; rank < r.n_used; ++rank) {
    if (r.normalize) out.weights[rank] /= sum + 1e-20F;
    out.weights[rank] *= r.scale;
  }
}

// Appends to the layer's record, so that a prompt fed in chunks reads like one fed at once.
static void record(const Routes& routes, std::int64_t layer, std::int64_t n_tokens,
                   std::vector<RouteRecord>& out) {
  auto r = std::find_if(out.begin(), out.end(), [&](const RouteRecord& x) { return x.layer == layer; });
  if (r == out.end()) r = out.insert(out.end(), {static_cast<int>(layer), {}, {}});
  for (std::int64_t t = 0; t < n_tokens; ++t) {
    const auto first = static_cast<std::ptrdiff_t>(t * routes.per_token);
    const auto last = first + routes.per_token;
    r->ids.emplace_back(routes.ids.begin() + first, routes.ids.begin() + last);
    r->weights.emplace_back(routes.weights.begin() + first, routes.weights.begin() + last);
  }
}

Router::Router(Cpu& cpu, const Routing& routing, std::int64_t max_tokens)
    : routing_(routing),
      scores_(max_tokens * routing.n_experts, "activations"),
      routes_{static_cast<int>(routing.n_used),
              std::vector<int>(static_cast<std::size_t>(max_tokens * routing.n_used)),
              std::vector<float>(static_cast<std::size_t>(max_tokens * routing.n_used))} {
  routes_.affinities = scores_.data();
  cpu.reserve_scratch(choose_scratch(routing));
}

const Routes& Router::choose(Cpu& cpu, const MoeWeights& w, Activations& h, std::int64_t layer,
                             const Step& step) {
  const Span span(cpu.profile(), "router");
  const auto n_tokens = static_cast<std::int64_t>(step.tokens.size());
  cpu.matmul({{w.ffn_gate_inp, scores_.data(), routing_.n_experts}}, h, n_tokens);
  cpu.team().run(static_cast<int>(n_tokens), [&](int token, int worker) {
    const auto at = static_cast<std::size_t>(token * routing_.n_used);
    choose_experts(cpu.kernels(), routing_, w.exp_probs_b, scores_.data() + token * routing_.n_experts,
                   cpu.scratch(worker), {&routes_.ids[at], &routes_.weights[at]});
  });
  if (step.routes != nullptr) record(routes_, layer, n_tokens, *step.routes);
  return routes_;
}

}  // namespace coterie
