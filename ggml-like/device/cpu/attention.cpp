#include "device/cpu/attention.h"

#include "formats/list.h"

#include <algorithm>

namespace coterie {

namespace {

static_assert(attention_block == mix_positions);

constexpr auto float_bytes = static_cast<std::int64_t>(sizeof(float));

// Query i of a group is head i % n_heads of token i / n_heads.
const float* query(const AttentionGroup& g, std::int64_t i) {
  return g.q + i / g.n_heads * g.q_token_stride + i % g.n_heads * g.q_head_stride;
}
float* output(const AttentionGroup& g, std::int64_t i) {
  return g.out + i / g.n_heads * g.out_token_stride + i % g.n_heads * g.out_head_stride;
}

// How a batch of queries meets a block. A form says
//   floats_of(n, width)          how many floats of scratch n queries take
//   pack(first, n, to)           lays them out
//   scores(q, n, kv, n_seen, s)  s[query][position], n_seen positions
//   mix(...)                     brings the outputs of queries [from, n) of the batch up to date

// Floats, lane = query: packed as [key_width][lanes], so that each score is one chain over the columns of a key.
struct FloatForm {
  using Block = KeyValues;
  const Kernels& k;
  const AttentionGroup& g;
  float* turned;  // [attention_block, attention_batch]
  float* values;  // [attention_batch, value_width]

  static constexpr int lanes = 16;  // of the widest ISA: fewer would be left to loops over single columns
  static std::int64_t floats_of(std::int64_t n, std::int64_t width) { return width * round_up(n); }
  static std::int64_t round_up(std::int64_t n) { return (n + lanes - 1) / lanes * lanes; }

  void pack(std::int64_t first, int n, float* to) const {
    const std::int64_t stride = round_up(n);
    const auto width = static_cast<int>(g.key_width);
    if (stride != n) std::fill_n(to, width * stride, 0.0F);
    if (g.n_heads == 1)
      k.transpose(query(g, first), g.q_token_stride, n, width, to, stride);
    else
      for (int i = 0; i < n;) {
        const int head = static_cast<int>((first + i) % g.n_heads);
        const int some = std::min(n - i, g.n_heads - head);
        k.transpose(query(g, first + i), g.q_head_stride, some, width, to + i, stride);
        i += some;
      }
  }

  void scores(const float* q, int n, const KeyValues& kv, int n_positions, float* to) const {
    const auto stride = static_cast<int>(round_up(n));
    k.outer(kv.k, kv.k_stride, n_positions, q, stride, static_cast<int>(g.key_width), stride, turned,
            attention_batch);
    k.transpose(turned, attention_batch, n_positions, n, to, attention_block);
  }

  // seen[i] positions count for query i, ascending. What follows those that a few queries share is added one by one: the
  // chain of a sum is the same.
  void mix(std::int64_t first, int from, int n, const KeyValues& kv, const float* weights, const int* seen,
           const float* keep) const {
    const auto width = static_cast<int>(g.value_width);
    for (int i = from; i < n;) {
      const int some = seen[i] == seen[n - 1] ? n - i : std::min(8, n - i);
      k.outer(weights + i * attention_block, attention_block, some, kv.v, kv.v_stride, seen[i], width, values,
              width);
      for (int j = i; j < i + some; ++j) {
        float* sum = values + (j - i) * width;
        for (int p = seen[i]; p < seen[j]; ++p)
          k.axpy(weights[j * attention_block + p], kv.v + p * kv.v_stride, width, sum);
        float* out = output(g, first + j);
        k.scale(keep[j], width, out);
        k.add(sum, width, out);
      }
      i += some;
    }
  }
};

struct ByteForm {
  using Block = ByteKeyValues;
  const Kernels& k;
  const AttentionGroup& g;

  static std::int64_t bytes_of(std::int64_t width) { return activation_bytes(ActivationKind::act32, width); }
  static std::int64_t floats_of(std::int64_t n, std::int64_t width) {
    return n * bytes_of(width) / float_bytes;
  }

  void pack(std::int64_t first, int n, float* to) const {
    auto* bytes = reinterpret_cast<std::byte*>(to);
    for (int i = 0; i < n; ++i)
      k.quantize_act32(query(g, first + i), g.key_width, bytes + i * bytes_of(g.key_width));
  }

  void scores(const float* q, int n, const ByteKeyValues& kv, int n_positions, float* to) const {
    k.rows[index_of<Q8_0>]({.w = kv.k,
                            .row_bytes = kv.k_bytes,
                            .n_rows = n_positions,
                            .x = reinterpret_cast<const std::byte*>(q),
                            .x_bytes = bytes_of(g.key_width),
                            .n_tokens = n,
                            .n = g.key_width,
                            .y = to,
                            .y_stride = attention_block});
  }

  void mix(std::int64_t first, int from, int n, const ByteKeyValues& kv, float* weights, const int* seen,
           const float* keep) const {
    for (int i = from; i < n; ++i)
      std::fill(weights + i * attention_block + seen[i], weights + (i + 1) * attention_block, 0.0F);
    k.mix({.v = kv.v,
           .v_bytes = kv.v_bytes,
           .n_positions = seen[n - 1],
           .weights = weights + from * attention_block,
           .keep = keep + from,
           .n_tokens = n - from,
           .n = g.value_width,
           .y = output(g, first + from),
           .y_stride = g.n_heads == 1 ? g.out_token_stride : g.out_head_stride});
  }
};

template <class Form>
class Attention {
 public:
  // Scratch: states, packed queries, scores.
  Attention(const Form& form, const AttentionGroup& g, float* scratch)
      : form_(form), g_(g), n_(std::int64_t{g.n_tokens} * g.n_heads) {
    states_ = g.part != nullptr ? g.part : reinterpret_cast<SoftmaxState*>(scratch);
    scores_ = scratch + 2 * n_;
    packed_ = scores_ + attention_batch * attention_block;
    for (std::int64_t first = 0; first < n_; first += attention_batch)
      form_.pack(first, size(first), packed(first));
    for (std::int64_t i = 0; i < n_; ++i) {
      states_[i] = {};
      std::fill_n(output(g, i), g.value_width, 0.0F);
    }
  }

  // Positions [first, first + n), for every query that sees any of them.
  void block(const typename Form::Block& kv, std::int64_t position, int n) const {
    for (std::int64_t first = 0; first < n_; first += attention_batch) {
      int seen[attention_batch];
      float keep[attention_batch];
      const int count = size(first);
      int from = 0;
      for (int i = 0; i < count; ++i) {
        const std::int64_t behind = g_.first_position + (first + i) / g_.n_heads + 1 - position;
        seen[i] = static_cast<int>(std::clamp<std::int64_t>(behind, 0, n));
        if (seen[i] == 0) from = i + 1;
      }
      if (from == count) continue;
      form_.scores(packed(first), count, kv, n, scores_);
      for (int i = from; i < count; ++i)
        keep[i] = form_.k.softmax(scores_ + i * attention_block, seen[i], g_.scale, states_[first + i]);
      form_.mix(first, from, count, kv, scores_, seen, keep);
    }
  }

  void finish() const {
    if (g_.part != nullptr) return;
    for (std::int64_t i = 0; i < n_; ++i) form_.k.scale(1.0F / states_[i].sum, g_.value_width, output(g_, i));
  }

 private:
  int size(std::int64_t first) const {
    return static_cast<int>(std::min<std::int64_t>(attention_batch, n_ - first));
  }
  float* packed(std::int64_t first) const { return packed_ + Form::floats_of(first, g_.key_width); }

  Form form_;
  const AttentionGroup& g_;
  std::int64_t n_;  // queries
  SoftmaxState* states_;
  float *scores_, *packed_;
};

template <class Form>
void run(const Form& form, const AttentionGroup& g, Positions positions,
         FunctionRef<typename Form::Block(std::int64_t first, int n)> block, float* scratch) {
  const Attention<Form> attention(form, g, scratch);
  const std::int64_t end = std::min(positions.end, g.first_position + g.n_tokens);
  for (std::int64_t first = positions.first; first < end; first += attention_block) {
    const int n = static_cast<int>(std::min<std::int64_t>(attention_block, end - first));
    attention.block(block(first, n), first, n);
  }
  attention.finish();
}

}  // namespace

std::int64_t attention_scratch(std::int64_t n, std::int64_t key_width, std::int64_t value_width) {
  const std::int64_t packed = std::max(FloatForm::floats_of(n, key_width), ByteForm::floats_of(n, key_width));
  const std::int64_t of_floats = attention_batch * (attention_block + value_width);
  return 2 * n + attention_batch * attention_block + packed + of_floats;
}

void attend(const Cpu& cpu, const AttentionGroup& g, Positions positions,
            FunctionRef<KeyValues(std::int64_t first, int n)> block, float* scratch) {
  float* turned = scratch;
  float* values = turned + attention_batch * attention_block;
  run(FloatForm{cpu.kernels(), g, turned, values}, g, positions, block,
      values + attention_batch * g.value_width);
}

void attend_bytes(const Cpu& cpu, const AttentionGroup& g, Positions positions,
                  FunctionRef<ByteKeyValues(std::int64_t first, int n)> block, float* scratch) {
  run(ByteForm{cpu.kernels(), g}, g, positions, block, scratch);
}

void merge_parts(const Kernels& k, const PartsArgs& a) {
  float top = a.states[0].max;
  for (int i = 1; i < a.n; ++i) top = std::max(top, a.states[i * a.state_stride].max);
  float sum = 0;
  std::fill_n(a.out, a.value_width, 0.0F);
  for (int i = 0; i < a.n; ++i) {
    SoftmaxState& part = a.states[i * a.state_stride];
    k.exp_minus(top, 1, &part.max);
    sum = part.sum * part.max + sum;
    k.axpy(part.max, a.values + i * a.value_stride, a.value_width, a.out);
  }
  k.scale(1.0F / sum, a.value_width, a.out);
}

}  // namespace coterie
