// Sizes and rules of one DeepSeek model (V2, V2-Lite, V3, R1 and kin), read from the keys of its GGUF file.
#pragma once

#include "gguf/reader.h"
#include "models/moe.h"

#include <cstdint>
#include <vector>

namespace coterie::deepseek {

struct Config {
  std::int64_t n_vocab, context_length;
  std::int64_t dim;             // embedding_length
  std::int64_t n_layers;        // without the multi-token-prediction layer
  std::int64_t n_dense_layers;  // the first ones
  std::int64_t n_heads;
  std::int64_t q_lora_rank;   // 0: queries come straight from the input
  std::int64_t kv_lora_rank;  // width of the latent
  std::int64_t nope, rope;    // parts of a query or key head
  std::int64_t v_dim;         // of a value head
  std::int64_t dense_inner;   // feed_forward_length
  std::int64_t expert_inner;  // expert_feed_forward_length
  std::int64_t shared_inner;  // all shared experts together, 0: none
  float norm_eps;
  Routing routing;
  std::vector<float> inv_freq;  // [rope / 2]
  float attention_scale;        // of the scores, YaRN's temperature included
};

Config read_config(const gguf::Reader& file);  // throws ModelError naming the key

}  // namespace coterie::deepseek
