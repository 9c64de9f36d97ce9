// Qwen3-MoE (Qwen3-235B-A22B, Qwen3-30B-A3B): grouped-query attention with q and k normalised per head, every
// layer a mixture of experts without a shared one.
#pragma once

#include "models/moe.h"
#include "models/trunk.h"

#include <memory>
#include <vector>

namespace coterie::qwen3moe {

class Qwen3Moe : public Model {
 public:
  explicit Qwen3Moe(const gguf::Reader& file);
  std::unique_ptr<ModelState> new_state(Cpu& cpu, const StateOptions& options) const override;
  void forward(Cpu& cpu, ModelState& state, const Step& step) const override;
  TokenCost token_cost(std::int64_t position, CacheType cache) const override;
  std::int64_t cache_bytes_per_position(CacheType cache) const override {
    return trunk_.cache_bytes_per_position(cache);
  }

 private:
  Trunk trunk_;
  Routing routing_;
  std::vector<MoeWeights> moe_;  // by layer
};

}  // namespace coterie::qwen3moe
