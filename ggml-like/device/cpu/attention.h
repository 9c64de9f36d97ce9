// Softmax attention over cached positions, in constant blocks merged in order:
//
//   out[token][head] = sum over positions p <= position(token) of softmax_p(scale * q . k_p) v_p
//
// The running maximum, sum and weighted values are carried from block to block (online softmax). Blocks begin
// at multiples of attention_block whatever the chunk, so a token's result depends on its position only.
//
// Keys and values are floats, or bytes in Q8_0. Bytes meet queries quantised as activations are, and the weights of the
// values become bytes too (kernels.h, MixArgs): both products are exact sums of integers.
#pragma once

#include "device/cpu/cpu.h"

#include <cstdint>

namespace coterie {

constexpr int attention_block = 64;  // positions
constexpr int attention_batch = 64;  // queries that meet a block together

// A group of heads that share keys and values, for consecutive tokens. Bytes: several heads of one token, or several
// tokens of one head.
struct AttentionGroup {
  std::int64_t first_position;  // of token 0
  int n_tokens, n_heads;
  std::int64_t key_width, value_width;
  float scale;
  const float* q;
  std::int64_t q_token_stride, q_head_stride;  // floats
  float* out;
  std::int64_t out_token_stride, out_head_stride;
  // Null: out is the attention. Else [n_tokens, n_heads]: out is one part of it, for merge_parts.
  SoftmaxState* part = nullptr;
};

// Keys and values of the positions [first, first + n).
struct KeyValues {
  const float* k;
  std::int64_t k_stride;  // floats
  const float* v;
  std::int64_t v_stride;
};
struct ByteKeyValues {
  const std::byte* k;  // rows of Q8_0
  std::int64_t k_bytes;
  const std::byte* v;
  std::int64_t v_bytes;
};

struct Positions {
  std::int64_t first, end;  // first: a multiple of attention_block; those behind a token's own do not count
};

std::int64_t attention_scratch(std::int64_t n_queries, std::int64_t key_width,
                               std::int64_t value_width);  // floats
// block(first, n) gives keys and values; scratch as above, for n_tokens * n_heads queries. For one worker: no task
// list inside. Every token sees at least one of the positions.
void attend(const Cpu& cpu, const AttentionGroup& g, Positions positions,
            FunctionRef<KeyValues(std::int64_t first, int n)> block, float* scratch);
void attend_bytes(const Cpu& cpu, const AttentionGroup& g, Positions positions,
                  FunctionRef<ByteKeyValues(std::int64_t first, int n)> block, float* scratch);

// out [value_width] from n parts of one query, in order; the states are used up. Part i: states[i * state_stride],
// values[i * value_stride].
struct PartsArgs {
  int n;
  SoftmaxState* states;
  std::int64_t state_stride;
  const float* values;
  std::int64_t value_stride, value_width;
  float* out;
};
void merge_parts(const Kernels& k, const PartsArgs& a);

}  // namespace coterie
