#include "models/dense.h"

#include "gguf/reader.h"
#include "models/tensors.h"

namespace coterie {

namespace {

struct State : ModelState {
  std::vector<CacheRows*> caches() override { return trunk.attention.caches(); }
  State(Cpu& cpu, const AttentionConfig& c, std::int64_t inner, const StateOptions& o)
      : trunk(cpu, c, o),
        feed_forward(cpu, {.max_tokens = o.max_tokens,
                           .dim = c.dim,
                           .per_token = 0,
                           .n_experts = 0,
                           .inner = 0,
                           .shared_inner = inner}) {}

  TrunkState trunk;
  FeedForwardRunner feed_forward;
};

}  // namespace

DenseDecoder::DenseDecoder(const gguf::Reader& file, const TrunkKind& kind) : trunk_(file, kind) {
  sizes_ = trunk_.sizes();
  const std::int64_t inner = file.integer(std::string(kind.name) + ".feed_forward_length", 1, 1 << 20);
  for (std::int64_t layer = 0; layer < trunk_.n_layers(); ++layer)
    ffn_.push_back(Tensors(file).feed_forward(layer, "", trunk_.config().dim, inner));
}

std::unique_ptr<ModelState> DenseDecoder::new_state(Cpu& cpu, const StateOptions& options) const {
  return std::make_unique<State>(cpu, trunk_.config(), ffn_[0].down.n, options);
}

void DenseDecoder::forward(Cpu& cpu, ModelState& state, const Step& step) const {
  State& s = static_cast<State&>(state);
  const auto n_tokens = static_cast<std::int64_t>(step.tokens.size());
  trunk_.embed(cpu, s.trunk, step);
  for (std::int64_t layer = 0; layer < trunk_.n_layers(); ++layer) {
    trunk_.attend(cpu, s.trunk, layer, step);
    s.feed_forward.dense(cpu, ffn_[static_cast<std::size_t>(layer)], s.trunk.h, n_tokens, s.trunk.x.data());
  }
  trunk_.head(cpu, s.trunk, step);
}

TokenCost DenseDecoder::token_cost(std::int64_t position, CacheType cache) const {
  TokenCost cost = trunk_.token_cost(position, cache);
  for (const FeedForward& f : ffn_)
    for (const Matrix* m : {&f.gate, &f.up, &f.down}) cost.add(*m);
  return cost;
}

}  // namespace coterie
