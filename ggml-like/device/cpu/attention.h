// Softmax attention over cached positions, in constant blocks merged in order:
//
//   out[token][head] = sum over positions p <= position(token) of softmax_p(scale * q . k_p) v_p
//
// The running maximum, sum and weighted values are carried from block to block (online softmax). Blocks begin
// at multiples of attention_block whatever the chunk, so a token's result depends on its position only.
#pragma once

#include "device/cpu/cpu.h"

#include <cstdint>

namespace coterie {

constexpr int attention_block = 64;  // positions

// A group of heads that share keys and values, for consecutive tokens.
struct AttentionGroup {
  std::int64_t first_position;  // of token 0
  int n_tokens, n_heads;
  std::int64_t key_width, value_width;
  float scale;
  const float* q;
  std::int64_t q_token_stride, q_head_stride;  // floats
  float* out;
  std::int64_t out_token_stride, out_head_stride;
};

// Keys and values of the positions [first, first + n).
struct KeyValues {
  const float* k;
  std::int64_t k_stride;
  const float* v;
  std::int64_t v_stride;
};

std::int64_t attention_scratch(std::int64_t n_tokens, std::int64_t n_heads,
                               std::int64_t value_width);  // floats
// block(first, n) gives keys and values; scratch as above. For one worker: no task list inside.
void attend(const Cpu& cpu, const AttentionGroup& g, FunctionRef<KeyValues(std::int64_t first, int n)> block,
            float* scratch);

}  // namespace coterie
