// A decoder of grouped-query attention and dense feed-forward layers: a whole model, but for how its kind differs.
#pragma once

#include "models/trunk.h"

#include <memory>
#include <vector>

namespace coterie {

class DenseDecoder : public Model {
 public:
  DenseDecoder(const gguf::Reader& file, const TrunkKind& kind);  // throws ModelError
  std::unique_ptr<ModelState> new_state(Cpu& cpu, const StateOptions& options) const override;
  void forward(Cpu& cpu, ModelState& state, const Step& step) const override;
  TokenCost token_cost(std::int64_t position, CacheType cache) const override;
  std::int64_t cache_bytes_per_position(CacheType cache) const override {
    return trunk_.cache_bytes_per_position(cache);
  }

 private:
  Trunk trunk_;
  std::vector<FeedForward> ffn_;  // by layer
};

}  // namespace coterie
