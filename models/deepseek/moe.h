// The mixture-of-experts layer: x += shared(h) + sum over the chosen experts e of gate_e * expert_e(h),  h =
// norm(x).
//
// How experts are chosen (DeepSeek-V3, arXiv 2412.19437 section 2.1.2; DeepSeek-V2, arXiv 2405.04434
// section 2.2.2):
//   affinity  s = sigmoid(logits) or softmax(logits)
//   selection on s + correction bias (V3) or s: groups are scored by the sum of their two best (sigmoid) or
//   by their best
//             (softmax); the best n_groups_used groups stay, everything else is out whatever its score; the
//             best n_used experts of those, ties to the lower index
//   weights   s of the chosen, without the bias, divided by their sum (+ 1e-20) if normalize, times scale
#pragma once

#include "models/deepseek/state.h"
#include "models/deepseek/weights.h"

namespace coterie::deepseek {

// logits [n_experts], overwritten with affinities; ids and weights [n_used] in rank order. selection and
// group_scores are scratch: [n_experts], [n_groups].
struct Choice {
  int* ids;
  float* weights;
};
void choose_experts(const Kernels& k, const Routing& r, const float* bias, float* logits, float* scratch,
                    Choice out);
inline std::int64_t choose_scratch(const Routing& r) { return r.n_experts + r.n_groups; }

void moe_layer(Cpu& cpu, const MoeWeights& w, const float* norm, const Config& c, State& s,
               std::int64_t layer, const Step& step);

}  // namespace coterie::deepseek
