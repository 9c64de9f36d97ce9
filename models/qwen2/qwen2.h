// Qwen2 and Qwen2.5 (R1-Distill-Qwen): grouped-query attention with biased q, k and v, dense feed-forward.
#pragma once

#include "models/trunk.h"

#include <memory>
#include <vector>

namespace coterie::qwen2 {

class Qwen2 : public Model {
 public:
  explicit Qwen2(const gguf::Reader& file);
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

}  // namespace coterie::qwen2
