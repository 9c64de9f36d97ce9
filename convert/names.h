// Name maps as data: which tensor of a checkpoint becomes which tensor of a GGUF file, of which shape, and
// how its rows are laid out. GGUF names:
// https://github.com/ggml-org/llama.cpp/blob/master/gguf-py/gguf/constants.py
#pragma once

#include "convert/hf_config.h"

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace coterie::convert {

using Size = std::int64_t (*)(const HfConfig&);
using Applies = bool (*)(const HfConfig&, std::int64_t layer);

// What happens to the rows on the way.
enum class Layout {
  plain,
  rotary_query,  // rotation pairs (i, i + d/2) of each head become neighbours (2i, 2i + 1), as GGUF's llama
                 // has them
  rotary_key,
  key_half,    // of kv_b: per head the key rows, transposed, as the absorbed form of latent attention reads
               // them
  value_half,  // of kv_b: per head the value rows
};

struct TensorRule {
  const char* from;    // '#' stands for a number: the layer, then the expert
  const char* to;      // '#': the layer; the experts of a layer become one tensor
  Size rows, columns;  // in the checkpoint; columns null: a vector
  Applies applies;     // to this layer of this model
  Layout layout = Layout::plain;
};

bool is_stacked(const TensorRule& rule);  // one source per expert
bool is_layered(const TensorRule& rule);  // one tensor per layer

// Of the tensor in the GGUF file, ne0 first.
std::vector<std::int64_t> gguf_shape(const TensorRule& rule, const HfConfig& config);

std::span<const TensorRule> deepseek_tensors();
std::span<const TensorRule> llama_tensors();
std::span<const TensorRule> qwen2_tensors();
std::span<const TensorRule> qwen3_moe_tensors();

// Tensors that a checkpoint may have and that nobody needs.
bool is_ignored(const HfConfig& config, const std::string& pattern);

// Empty pattern: a name that no rule can mean.
// "model.layers.3.mlp.experts.7.up_proj.weight" <-> "model.layers.#.mlp.experts.#.up_proj.weight", {3, 7}
struct ParsedName {
  std::string pattern;
  std::array<std::int64_t, 2> numbers{};
};
ParsedName parse_name(const std::string& name);
std::string fill_name(const char* pattern, std::int64_t layer, std::int64_t expert = 0);

}  // namespace coterie::convert
