// Llama 3 and what is built like it (R1-Distill-Llama): grouped-query attention, dense feed-forward.
//
// GGUF stores the rows of q and k so that neighbouring pairs are rotated (see rope.h).
#pragma once

#include "device/cpu/feed_forward.h"
#include "models/model.h"

#include <memory>
#include <vector>

namespace coterie::llama {

struct Config {
  std::int64_t n_vocab, context_length, dim, n_layers;
  std::int64_t n_heads, n_kv_heads;
  std::int64_t head_dim, v_dim;  // key_length, value_length
  std::int64_t rope;             // rotated part of a head, the first values
  std::int64_t inner;            // feed_forward_length
  float norm_eps;
  std::vector<float> inv_freq;  // [rope / 2]
};

struct LayerWeights {
  const float* attn_norm;  // [dim]
  Matrix attn_q, attn_k, attn_v, attn_output;
  const float* ffn_norm;  // [dim]
  FeedForward ffn;
};

struct State;

class Llama : public Model {
 public:
  explicit Llama(const gguf::Reader& file);
  std::unique_ptr<ModelState> new_state(Cpu& cpu, const StateOptions& options) const override;
  void forward(Cpu& cpu, ModelState& state, const Step& step) const override;
  std::int64_t bytes_per_token(std::int64_t position, CacheType cache) const override;
  std::int64_t cache_bytes_per_position(CacheType cache) const override;

 private:
  void read_weights(const gguf::Reader& file);
  void attention_layer(Cpu& cpu, const LayerWeights& w, State& s, std::int64_t layer, const Step& step) const;
  void attend_heads(Cpu& cpu, State& s, std::int64_t layer, const Step& step) const;

  Config config_;
  Matrix token_embd_, output_;
  const float* output_norm_ = nullptr;
  std::vector<LayerWeights> layers_;
};

}  // namespace coterie::llama
