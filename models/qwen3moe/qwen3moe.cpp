#include "models/qwen3moe/qwen3moe.h"

#include "gguf/reader.h"
#include "models/tensors.h"

namespace coterie::qwen3moe {

namespace {

struct State : ModelState {
  std::vector<CacheRows*> caches() override { return trunk.attention.caches(); }
  State(Cpu& cpu, const AttentionConfig& c, const Routing& r, std::int64_t inner, const StateOptions& o)
      : trunk(cpu, c, o),
        router(cpu, r, o.max_tokens),
        feed_forward(cpu, {.max_tokens = o.max_tokens,
                           .dim = c.dim,
                           .per_token = r.n_used,
                           .n_experts = r.n_experts,
                           .inner = inner,
                           .shared_inner = 0}) {}

  TrunkState trunk;
  Router router;
  FeedForwardRunner feed_forward;
};

// Files need not say how they route: softmax over all experts, the chosen weights normalised.
Routing read_routing(const gguf::Reader& f) {
  Routing r{};
  r.n_experts = f.integer("qwen3moe.expert_count", 1, 4096);
  r.n_used = f.integer("qwen3moe.expert_used_count", 1, r.n_experts);
  r.n_groups = r.n_groups_used = 1;
  r.gating = static_cast<Gating>(f.integer("qwen3moe.expert_gating_func", 1, 2, 1));
  r.normalize = f.flag("qwen3moe.expert_weights_norm", true);
  r.scale = f.number("qwen3moe.expert_weights_scale", 1.0F);
  return r;
}

}  // namespace

Qwen3Moe::Qwen3Moe(const gguf::Reader& file)
    : trunk_(file, {.name = "qwen3moe", .pairs = RopePairs::halves, .biased = false, .head_norms = true}),
      routing_(read_routing(file)) {
  sizes_ = trunk_.sizes();
  const std::int64_t dim = trunk_.config().dim;
  const std::int64_t inner = file.integer("qwen3moe.expert_feed_forward_length", 1, 1 << 20);
  const Tensors t(file);
  for (std::int64_t layer = 0; layer < trunk_.n_layers(); ++layer)
    moe_.push_back(
        {.ffn_gate_inp = t.matrix(block_name(layer, "ffn_gate_inp.weight"), dim, routing_.n_experts),
         .exp_probs_b = nullptr,
         .experts = t.feed_forward(layer, "_exps", dim, inner, routing_.n_experts),
         .shared = {}});
}

std::unique_ptr<ModelState> Qwen3Moe::new_state(Cpu& cpu, const StateOptions& options) const {
  return std::make_unique<State>(cpu, trunk_.config(), routing_, moe_[0].experts.down.n, options);
}

void Qwen3Moe::forward(Cpu& cpu, ModelState& state, const Step& step) const {
  State& s = static_cast<State&>(state);
  const auto n_tokens = static_cast<std::int64_t>(step.tokens.size());
  trunk_.embed(cpu, s.trunk, step);
  for (std::int64_t layer = 0; layer < trunk_.n_layers(); ++layer) {
    const MoeWeights& w = moe_[static_cast<std::size_t>(layer)];
    trunk_.attend(cpu, s.trunk, layer, step);
    const Routes& routes = s.router.choose(cpu, w, s.trunk.h, layer, step);
    s.feed_forward.moe(cpu, {w.experts, nullptr, routes}, s.trunk.h, n_tokens, s.trunk.x.data());
  }
  trunk_.head(cpu, s.trunk, step);
}

TokenCost Qwen3Moe::token_cost(std::int64_t position, CacheType cache) const {
  TokenCost cost = trunk_.token_cost(position, cache);
  for (const MoeWeights& w : moe_) {
    cost.add(w.ffn_gate_inp);
    for (const Matrix* m : {&w.experts.gate, &w.experts.up, &w.experts.down})
      cost.add_part(*m, routing_.n_used, routing_.n_experts);
  }
  return cost;
}

}  // namespace coterie::qwen3moe
