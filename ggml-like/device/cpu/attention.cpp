#include "device/cpu/attention.h"

#include "formats/list.h"

#include <algorithm>

namespace coterie {

namespace {

// What a (token, head) carries from block to block; its weighted values are carried in the output itself.
struct Running {
  float max, sum;
};

// Tokens of one head, or heads of one token, that see the same positions of a block.
struct Batch {
  std::int64_t count;
  const float* q;
  std::int64_t q_stride;
  float* out;
  std::int64_t out_stride;
  Running* running;
};

constexpr std::int64_t most_in_batch = 16;

class Attention {
 public:
  Attention(const Kernels& k, const AttentionGroup& g, float* scratch)
      : k_(k), g_(g), running_(reinterpret_cast<Running*>(scratch)) {
    scores_ = scratch + 2 * static_cast<std::int64_t>(g.n_tokens) * g.n_heads;
    values_ = scores_ + most_in_batch * attention_block;
  }

  // Positions [first, first + n) for every token that sees any of them.
  void block(const KeyValues& kv, std::int64_t first, int n) {
    std::int64_t token = std::max<std::int64_t>(0, first - g_.first_position);
    while (token < g_.n_tokens) {
      const std::int64_t seen = std::min<std::int64_t>(n, g_.first_position + token + 1 - first);
      // Behind the block's end all tokens see the whole of it.
      const std::int64_t alike =
          g_.n_heads == 1 && seen == n ? std::min(g_.n_tokens - token, most_in_batch) : 1;
      for (std::int64_t head = 0; head < g_.n_heads; head += most_in_batch) {
        const std::int64_t at = token * g_.n_heads + head;
        const bool of_heads = g_.n_heads > 1;
        merge({.count = of_heads ? std::min(most_in_batch, g_.n_heads - head) : alike,
               .q = g_.q + token * g_.q_token_stride + head * g_.q_head_stride,
               .q_stride = of_heads ? g_.q_head_stride : g_.q_token_stride,
               .out = g_.out + token * g_.out_token_stride + head * g_.out_head_stride,
               .out_stride = of_heads ? g_.out_head_stride : g_.out_token_stride,
               .running = running_ + at},
              kv, static_cast<int>(seen), first == 0);
      }
      token += alike;
    }
  }

  void finish() {
    for (std::int64_t token = 0; token < g_.n_tokens; ++token)
      for (std::int64_t head = 0; head < g_.n_heads; ++head)
        k_.scale(1.0F / running_[token * g_.n_heads + head].sum, g_.value_width,
                 g_.out + token * g_.out_token_stride + head * g_.out_head_stride);
  }

 private:
  void merge(const Batch& b, const KeyValues& kv, int n, bool first) {
    constexpr auto float_bytes = static_cast<std::int64_t>(sizeof(float));
    k_.rows[index_of<F32>]({.w = reinterpret_cast<const std::byte*>(kv.k),
                            .row_bytes = kv.k_stride * float_bytes,
                            .n_rows = n,
                            .x = reinterpret_cast<const std::byte*>(b.q),
                            .x_bytes = b.q_stride * float_bytes,
                            .n_tokens = static_cast<int>(b.count),
                            .n = g_.key_width,
                            .y = scores_,
                            .y_stride = attention_block});
    float shrink[most_in_batch];
    for (std::int64_t i = 0; i < b.count; ++i)
      shrink[i] = weigh(scores_ + i * attention_block, n, first, b.running[i]);
    float* const sums = first ? b.out : values_;
    const std::int64_t stride = first ? b.out_stride : g_.value_width;
    k_.outer(scores_, attention_block, static_cast<int>(b.count), kv.v, kv.v_stride, n,
             static_cast<int>(g_.value_width), sums, stride);
    for (std::int64_t i = 0; !first && i < b.count; ++i) {
      float* out = b.out + i * b.out_stride;
      k_.scale(shrink[i], g_.value_width, out);
      k_.add(values_ + i * g_.value_width, g_.value_width, out);
    }
  }

  // Scores become weights; brings r up to date and returns what the earlier blocks' values shrink by.
  float weigh(float* scores, int n, bool first, Running& r) const {
    k_.scale(g_.scale, n, scores);
    const float block_max = k_.max(scores, n);
    const float max = first ? block_max : std::max(r.max, block_max);
    k_.exp_minus(max, n, scores);
    const float block_sum = k_.sum(scores, n);
    float shrink = 0;
    if (!first) {
      shrink = r.max;
      k_.exp_minus(max, 1, &shrink);
    }
    r = {max, first ? block_sum : r.sum * shrink + block_sum};
    return shrink;
  }

  const Kernels& k_;
  const AttentionGroup& g_;
  Running* running_;
  float *scores_, *values_;  // [most_in_batch, attention_block], [most_in_batch, value_width]
};

}  // namespace

std::int64_t attention_scratch(std::int64_t n_tokens, std::int64_t n_heads, std::int64_t value_width) {
  return 2 * n_tokens * n_heads + most_in_batch * (attention_block + value_width);
}

void attend(const Cpu& cpu, const AttentionGroup& g, FunctionRef<KeyValues(std::int64_t first, int n)> block,
            float* scratch) {
  Attention attention(cpu.kernels(), g, scratch);
  const std::int64_t end = g.first_position + g.n_tokens;
  for (std::int64_t first = 0; first < end; first += attention_block) {
    const int n = static_cast<int>(std::min<std::int64_t>(attention_block, end - first));
    attention.block(block(first, n), first, n);
  }
  attention.finish();
}

}  // namespace coterie
