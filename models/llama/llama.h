// Llama 3 and what is built like it (R1-Distill-Llama): grouped-query attention, dense feed-forward.
//
// GGUF stores the rows of q and k so that neighbouring pairs are rotated (see rope.h).
#pragma once

#include "models/trunk.h"

#include <memory>
#include <vector>

namespace coterie::llama {

class Llama : public Model {
 public:
  explicit Llama(const gguf::Reader& file);
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

}  // namespace coterie::llama
