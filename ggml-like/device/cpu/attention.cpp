#include "device/cpu/attention.h"

#include "formats/list.h"

#include <algorithm>

namespace coterie {

namespace {

// What a (token, head) carries from block to block; its weighted values are carried in the output itself.
struct Running {
  float max, sum;
};

struct Softmax {
  const Kernels& k;
  float* values;  // [value_width] scratch

  // Merges one block: scores [n] become weights, out and r are brought up to date.
  void merge(float* scores, int n, const KeyValues& kv, std::int64_t value_width, bool first, Running& r,
             float* out) {
    const float block_max = k.max(scores, n);
    const float max = first ? block_max : std::max(r.max, block_max);
    k.exp_minus(max, n, scores);
    float* sum_to = first ? out : values;
    k.outer(scores, n, 1, kv.v, kv.v_stride, n, static_cast<int>(value_width), sum_to, value_width);
    const float block_sum = k.sum(scores, n);
    if (first) {
      r = {max, block_sum};
      return;
    }
    float shrink = r.max;
    k.exp_minus(max, 1, &shrink);
    k.scale(shrink, value_width, out);
    k.add(values, value_width, out);
    r = {max, r.sum * shrink + block_sum};
  }
};

}  // namespace

std::int64_t attention_scratch(std::int64_t n_tokens, std::int64_t n_heads, std::int64_t value_width) {
  return 2 * n_tokens * n_heads + attention_block + value_width;
}

void attend(const Cpu& cpu, const AttentionGroup& g, FunctionRef<KeyValues(std::int64_t first, int n)> block,
            float* scratch) {
  const Kernels& k = cpu.kernels();
  constexpr int f32 = index_of<F32>;
  Running* running = reinterpret_cast<Running*>(scratch);
  float* scores = scratch + 2 * static_cast<std::int64_t>(g.n_tokens) * g.n_heads;
  Softmax softmax{k, scores + attention_block};
  const std::int64_t end = g.first_position + g.n_tokens;
  for (std::int64_t first = 0; first < end; first += attention_block) {
    const KeyValues kv = block(first, static_cast<int>(std::min<std::int64_t>(attention_block, end - first)));
    const std::int64_t first_token = std::max<std::int64_t>(0, first - g.first_position);
    for (std::int64_t token = first_token; token < g.n_tokens; ++token) {
      const int n =
          static_cast<int>(std::min<std::int64_t>(attention_block, g.first_position + token + 1 - first));
      for (std::int64_t head = 0; head < g.n_heads; ++head) {
        k.rows[f32](
            {.w = reinterpret_cast<const std::byte*>(kv.k),
             .row_bytes = kv.k_stride * static_cast<std::int64_t>(sizeof(float)),
             .n_rows = n,
             .x = reinterpret_cast<const std::byte*>(g.q + token * g.q_token_stride + head * g.q_head_stride),
             .x_bytes = 0,
             .n_tokens = 1,
             .n = g.key_width,
             .y = scores,
             .y_stride = 0});
        k.scale(g.scale, n, scores);
        softmax.merge(scores, n, kv, g.value_width, first == 0, running[token * g.n_heads + head],
                      g.out + token * g.out_token_stride + head * g.out_head_stride);
      }
    }
  }
  for (std::int64_t token = 0; token < g.n_tokens; ++token)
    for (std::int64_t head = 0; head < g.n_heads; ++head)
      k.scale(1.0F / running[token * g.n_heads + head].sum, g.value_width,
              g.out + token * g.out_token_stride + head * g.out_head_stride);
}

}  // namespace coterie
