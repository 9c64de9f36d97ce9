// The DeepSeek family ("deepseek2" in GGUF): V2, V2-Lite, V3, R1, and models of their shape such as Kimi K2.
#pragma once

#include "models/deepseek/weights.h"
#include "models/model.h"

#include <memory>

namespace coterie::deepseek {

class DeepSeek : public Model {
 public:
  explicit DeepSeek(const gguf::Reader& file);
  std::unique_ptr<ModelState> new_state(Cpu& cpu, const StateOptions& options) const override;
  void forward(Cpu& cpu, ModelState& state, const Step& step) const override;
  TokenCost token_cost(std::int64_t position, CacheType cache) const override;
  std::int64_t cache_bytes_per_position(CacheType cache) const override;
  const Config& config() const { return config_; }

 private:
  Config config_;
  Weights weights_;
};

}  // namespace coterie::deepseek
