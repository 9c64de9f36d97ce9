// What one timeline of a DeepSeek model keeps: the latent cache of every layer, and the activations of one
// step. Shapes in brackets; T = tokens of a step, P = positions of the cache.
#pragma once

#include "device/cpu/feed_forward.h"
#include "models/deepseek/config.h"
#include "models/model.h"

#include <vector>

namespace coterie::deepseek {

struct State : ModelState {
  State(Cpu& cpu, const Config& c, const StateOptions& options);

  std::vector<CacheRows*> caches() override;

  std::vector<CacheRows>
      cache;  // per layer [P, kv_lora_rank + rope]: the normalised latent, then the rotated shared key

  Buffer<float> x;            // [T, dim] residual stream
  Activations h;              // [T, dim] normalised input of attention, feed-forward and head
  Activations q_a;            // [T, q_lora_rank]
  Buffer<float> q;            // [T, heads, nope + rope]
  Buffer<float> kv_a;         // [T, kv_lora_rank + rope]
  Buffer<float> rope;         // [T, rope] cosines and sines
  Activations attention_out;  // [T, heads * v]

  Buffer<float> q_latent;            // [T, heads, kv_lora_rank + rope]: absorbed form
  Buffer<float> out_latent;          // [T, heads, kv_lora_rank]
  Buffer<float> part_latent;         // [parts of P, heads, kv_lora_rank]: absorbed form, part by part
  Buffer<SoftmaxState> part_states;  // [parts of P, heads]
  Activations latents;               // [P, kv_lora_rank]: decompressed form, the cache as floats

  Router router;
  FeedForwardRunner feed_forward;
};

}  // namespace coterie::deepseek
