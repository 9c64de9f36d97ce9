// The mixture-of-experts layer: x += shared(h) + sum over the chosen experts e of gate_e * expert_e(h),  h =
// norm(x).
//
// How experts are chosen (DeepSeek-V3, arXiv 2412.19437 section 2.1.2; DeepSeek-V2, arXiv 2405.04434
// section 2.2.2; Qwen3 is the softmax case without groups, normalised):
//   affinity  s = sigmoid(logits) or softmax(logits)
//   selection on s + correction bias (V3) or s: groups are scored by the sum of their two best (sigmoid) or
//   by their best
//             (softmax); the best n_groups_used groups stay, everything else is out whatever its score; the
//             best n_used experts of those, ties to the lower index
//   weights   s of the chosen, without the bias, divided by their sum (+ 1e-20) if normalize, times scale
#pragma once

#include "device/cpu/feed_forward.h"
#include "models/model.h"

#include <cstdint>

namespace coterie {

enum class Gating { softmax = 1, sigmoid = 2 };  // values of expert_gating_func

struct Routing {
  std::int64_t n_experts;  // routed
  std::int64_t n_used;     // chosen per token
  std::int64_t n_groups;   // 1: no groups
  std::int64_t n_groups_used;
  Gating gating;
  bool normalize;  // chosen weights divided by their sum
  float scale;     // then multiplied by this
};

struct MoeWeights {
  Matrix ffn_gate_inp;          // router: dim -> experts
  const float* exp_probs_b;     // [experts], null: no correction bias
  FeedForward experts, shared;  // shared.gate absent: none
};

// logits [n_experts], overwritten with affinities; ids and weights [n_used] in rank order. selection and
// group_scores are scratch: [n_experts], [n_groups].
struct Choice {
  int* ids;
  float* weights;
};
void choose_experts(const Kernels& k, const Routing& r, const float* bias, float* logits, float* scratch,
                    Choice out);
inline std::int64_t choose_scratch(const Routing& r) { return r.n_experts + r.n_groups; }

// Chooses the experts of one step's tokens.
class Router {
 public:
  Router() = default;
  Router(Cpu& cpu, const Routing& routing, std::int64_t max_tokens);

  // For the normalised input h [tokens, dim]; also appended to the step's record, if it has one.
  const Routes& choose(Cpu& cpu, const MoeWeights& w, Activations& h, std::int64_t layer, const Step& step);

 private:
  Routing routing_{};
  Buffer<float> scores_;  // [tokens, experts]
  Routes routes_;
};

}  // namespace coterie
