// What decoders with grouped-query attention share: configuration keys, embedding, attention layers, head. A
// model of this kind owns a Trunk and walks through its layers, adding its own feed-forward part.
#pragma once

#include "models/grouped_attention.h"

#include <cstdint>
#include <string>
#include <vector>

namespace coterie {

struct TrunkState {
  TrunkState(Cpu& cpu, const AttentionConfig& c, const StateOptions& o);

  Buffer<float> x;  // [T, dim] residual stream
  Activations h;    // [T, dim] normalised input of attention, feed-forward and head
  GroupedAttentionState attention;
};

// How an architecture differs; its keys begin with "<name>.".
struct TrunkKind {
  const char* name;
  RopePairs pairs;
  bool biased, head_norms;  // as in AttentionConfig
};

class Trunk {
 public:
  Trunk(const gguf::Reader& file, const TrunkKind& kind);  // throws ModelError
  const AttentionConfig& config() const { return config_; }
  std::int64_t n_layers() const { return config_.n_layers; }
  ModelSizes sizes() const { return sizes_; }

  // x = embedding of the step's tokens.
  void embed(Cpu& cpu, TrunkState& s, const Step& step) const;
  // x += attention(norm(x)), then h = norm(x): the input of the layer's feed-forward part.
  void attend(Cpu& cpu, TrunkState& s, std::int64_t layer, const Step& step) const;
  // The logits that the step wants of x.
  void head(Cpu& cpu, TrunkState& s, const Step& step) const;

  // As Model's, without feed-forward weights.
  TokenCost token_cost(std::int64_t position, CacheType cache) const;
  std::int64_t cache_bytes_per_position(CacheType cache) const;

 private:
  AttentionConfig config_;
  ModelSizes sizes_{};
  Matrix token_embd_, output_;
  const float* output_norm_;                        // [dim]
  std::vector<GroupedAttentionWeights> attention_;  // by layer
  std::vector<const float*> ffn_norm_;              // by layer [dim]
};

}  // namespace coterie
