#include "models/deepseek/attention.h"

#include "device/cpu/attention.h"
#include "formats/list.h"
#include "models/rope.h"

#include <algorithm>
#include <cstring>

namespace coterie::deepseek {

namespace {

// The absorbed form is cut into tasks of so many heads, which share one pass over the cache, by so many positions: few
// enough that every thread gets some. Where the cuts lie depends on a token's position only.
constexpr std::int64_t head_group = 32;
constexpr std::int64_t part_positions = 128;

// q [T, heads, nope + rope] and kv_a [T, kv_lora_rank + rope] from the normalised input.
void project(Cpu& cpu, const AttentionWeights& w, const Config& c, State& s, std::int64_t n_tokens) {
  const std::int64_t q_width = c.n_heads * (c.nope + c.rope);
  const Product kv{w.attn_kv_a_mqa, s.kv_a.data(), c.kv_lora_rank + c.rope};
  if (!w.attn_q_a) {
    cpu.matmul({{w.attn_q, s.q.data(), q_width}, kv}, s.h, n_tokens);
    return;
  }
  cpu.matmul({{w.attn_q_a, s.q_a.floats(), c.q_lora_rank}, kv}, s.h, n_tokens);
  cpu.rms_norm(s.q_a.floats(), w.attn_q_a_norm, c.norm_eps, n_tokens, s.q_a);
  cpu.matmul({{w.attn_q_b, s.q.data(), q_width}}, s.q_a, n_tokens);
}

// Rotates q and the shared key, normalises the latent, and stores the cache rows.
void rotate_and_store(Cpu& cpu, const AttentionWeights& w, const Config& c, State& s, CacheRows& cache,
                      const Step& step) {
  const std::int64_t qk = c.nope + c.rope;
  const std::int64_t width = c.kv_lora_rank + c.rope;
  cpu.team().run(static_cast<int>(step.tokens.size()), [&](int token, int) {
    const float* table = s.rope.data() + token * c.rope;
    for (std::int64_t head = 0; head < c.n_heads; ++head)
      rotate(table, c.rope / 2, s.q.data() + (token * c.n_heads + head) * qk + c.nope);
    float* kv = s.kv_a.data() + token * width;
    rotate(table, c.rope / 2, kv + c.kv_lora_rank);
    cpu.kernels().rms_norm(kv, w.attn_kv_a_norm, c.kv_lora_rank, c.norm_eps, kv);
    cache.store(cpu.kernels(), step.position + token, kv);
  });
}

// q_latent[t][head] = [W_k^T q_nope, q_rope].
void absorb_queries(Cpu& cpu, const AttentionWeights& w, const Config& c, State& s, std::int64_t n_tokens) {
  const std::int64_t qk = c.nope + c.rope;
  const std::int64_t width = c.kv_lora_rank + c.rope;
  if (w.attn_k_b)
    cpu.matmul_heads({w.attn_k_b, 0, c.kv_lora_rank, s.q.data(), c.n_heads * qk, qk, s.q_latent.data(),
                      c.n_heads * width, width},
                     n_tokens);
  cpu.team().run(static_cast<int>(c.n_heads), [&](int head, int worker) {
    const std::int64_t at = head;
    const float* q = s.q.data() + at * qk;
    float* out = s.q_latent.data() + at * width;
    if (!w.attn_k_b) {  // kv_b's rows run across this sum: decoded to floats
      const Matrix keys = w.attn_kv_b.at(head).rows_at(0, c.nope);
      float* decoded = cpu.scratch(worker);
      keys.format->decode(keys.data, c.nope * c.kv_lora_rank, decoded);
      cpu.kernels().outer(q, c.n_heads * qk, static_cast<int>(n_tokens), decoded, c.kv_lora_rank,
                          static_cast<int>(c.nope), static_cast<int>(c.kv_lora_rank), out, c.n_heads * width);
    }
    for (std::int64_t token = 0; token < n_tokens; ++token)
      std::memcpy(out + token * c.n_heads * width + c.kv_lora_rank, q + token * c.n_heads * qk + c.nope,
                  static_cast<std::size_t>(c.rope) * sizeof(float));
  });
}

// Heads [head, head + group.n_heads) of a token over one part of its positions.
void attend_part(Cpu& cpu, const Config& c, const CacheRows& cache, const AttentionGroup& group,
                 Positions positions, float* scratch) {
  const std::int64_t width = c.kv_lora_rank + c.rope;
  float* rows = scratch;
  scratch += attention_block * width;
  if (in_bytes(cache.type()))
    attend_bytes(
        cpu, group, positions,
        [&](std::int64_t first, int n) -> ByteKeyValues {
          const auto view = cache.read_bytes(cpu.kernels(), first, n, reinterpret_cast<std::byte*>(rows));
          return {view.rows, view.row_bytes, view.rows, view.row_bytes};
        },
        scratch);
  else
    attend(
        cpu, group, positions,
        [&](std::int64_t first, int n) -> KeyValues {
          const CacheRows::View view = cache.read(cpu.kernels(), first, n, 0, width, rows);
          return {view.rows, view.stride, view.rows, view.stride};
        },
        scratch);
}

// Attention of tokens [first, first + n_tokens) of the step, part by part where there are several.
void attend_latents(Cpu& cpu, const Config& c, State& s, const CacheRows& cache, const Step& step,
                    std::int64_t first, std::int64_t n_tokens) {
  const std::int64_t width = c.kv_lora_rank + c.rope;
  const std::int64_t groups = blocks_of(c.n_heads, head_group);
  const std::int64_t last = step.position + first + n_tokens - 1;
  const std::int64_t most_parts = latent_parts(last + 1);
  const auto out_of = [&](std::int64_t token, std::int64_t head) {
    return s.out_latent.data() + ((first + token) * c.n_heads + head) * c.kv_lora_rank;
  };
  // [token][part][head]
  const auto part_of = [&](std::int64_t token, std::int64_t part, std::int64_t head) {
    return (token * most_parts + part) * c.n_heads + head;
  };
  cpu.team().run(static_cast<int>(n_tokens * most_parts * groups), [&](int task, int worker) {
    const std::int64_t token = task / (most_parts * groups);
    const std::int64_t part = task / groups % most_parts;
    const std::int64_t head = task % groups * head_group;
    const std::int64_t position = step.position + first + token;
    if (part * part_positions > position) return;
    const bool whole = latent_parts(position + 1) == 1;
    const std::int64_t at = part_of(token, part, head);
    const AttentionGroup group{
        .first_position = position,
        .n_tokens = 1,
        .n_heads = static_cast<int>(std::min(head_group, c.n_heads - head)),
        .key_width = width,
        .value_width = c.kv_lora_rank,
        .scale = c.attention_scale,
        .q = s.q_latent.data() + ((first + token) * c.n_heads + head) * width,
        .q_token_stride = 0,
        .q_head_stride = width,
        .out = whole ? out_of(token, head) : s.part_latent.data() + at * c.kv_lora_rank,
        .out_token_stride = 0,
        .out_head_stride = c.kv_lora_rank,
        .part = whole ? nullptr : s.part_states.data() + at};
    attend_part(cpu, c, cache, group, {part * part_positions, (part + 1) * part_positions},
                cpu.scratch(worker));
  });
  if (most_parts == 1) return;
  cpu.team().run(static_cast<int>(n_tokens * c.n_heads), [&](int task, int) {
    const std::int64_t token = task / c.n_heads;
    const std::int64_t head = task % c.n_heads;
    const std::int64_t n_parts = latent_parts(step.position + first + token + 1);
    if (n_parts == 1) return;
    const std::int64_t at = part_of(token, 0, head);
    merge_parts(cpu.kernels(), {.n = static_cast<int>(n_parts),
                                .states = s.part_states.data() + at,
                                .state_stride = c.n_heads,
                                .values = s.part_latent.data() + at * c.kv_lora_rank,
                                .value_stride = c.n_heads * c.kv_lora_rank,
                                .value_width = c.kv_lora_rank,
                                .out = out_of(token, head)});
  });
}

void attend_absorbed(Cpu& cpu, const AttentionWeights& w, const Config& c, State& s, const CacheRows& cache,
                     const Step& step) {
  const auto n_tokens = static_cast<std::int64_t>(step.tokens.size());
  absorb_queries(cpu, w, c, s, n_tokens);
  // As many tokens at once as have room for their parts.
  const std::int64_t room = s.part_states.size() / c.n_heads / latent_parts(step.position + n_tokens);
  for (std::int64_t first = 0; first < n_tokens; first += room)
    attend_latents(cpu, c, s, cache, step, first, std::min(n_tokens - first, room));
  const bool split = static_cast<bool>(w.attn_v_b);
  cpu.matmul_heads(
      {split ? w.attn_v_b : w.attn_kv_b, split ? 0 : c.nope, c.v_dim, s.out_latent.data(),
       c.n_heads * c.kv_lora_rank, c.kv_lora_rank, s.attention_out.floats(), c.n_heads * c.v_dim, c.v_dim},
      n_tokens);
}

// Keys and values of one head can be rows of Q8_0.
bool fits_bytes(const Config& c) {
  return (c.nope + c.rope) % Q8_0::block_size == 0 && c.v_dim % Q8_0::block_size == 0;
}
// Room for them, of one position; whole blocks or not.
std::int64_t byte_floats(const Config& c) { return (c.nope + c.rope + c.v_dim) / 2; }

// Keys and values of one head, rebuilt from the latents.
struct Decompressor {
  const Cpu& cpu;
  const Config& c;
  const State& s;
  const CacheRows& cache;
  Matrix k_rows;  // [kv_lora_rank -> nope]; or
  const float*
      decoded;    // [kv_lora_rank, nope]: attn_k_b of the head as floats, since its rows run across the sum
  Matrix v_rows;  // [kv_lora_rank -> v]
  float* keys;    // [attention_block, nope + rope]
  float* values;  // [attention_block, v]
  float* shared;  // [attention_block, rope]
  std::byte* bytes;  // [attention_block, nope + rope], then [attention_block, v], in Q8_0

  KeyValues floats(std::int64_t first, int n) const {
    const std::int64_t qk = c.nope + c.rope;
    if (k_rows)
      product(k_rows, first, n, keys, qk);
    else
      cpu.kernels().outer(s.latents.floats(first), c.kv_lora_rank, n, decoded, c.nope,
                          static_cast<int>(c.kv_lora_rank), static_cast<int>(c.nope), keys, qk);
    const CacheRows::View rope = cache.read(cpu.kernels(), first, n, c.kv_lora_rank, c.rope, shared);
    for (int i = 0; i < n; ++i)
      std::memcpy(keys + i * qk + c.nope, rope.rows + i * rope.stride,
                  static_cast<std::size_t>(c.rope) * sizeof(float));
    product(v_rows, first, n, values, c.v_dim);
    return {keys, qk, values, c.v_dim};
  }

  ByteKeyValues in_bytes(std::int64_t first, int n) const {
    const std::int64_t qk = c.nope + c.rope;
    const KeyValues kv = floats(first, n);
    const Encode encode = cpu.kernels().encode[index_of<Q8_0>];
    const std::int64_t k_bytes = CacheRows::bytes(CacheType::q8_0, qk);
    std::byte* rows = bytes + attention_block * k_bytes;
    encode(kv.k, nullptr, n * qk, bytes);
    encode(kv.v, nullptr, n * c.v_dim, rows);
    return {bytes, k_bytes, rows, CacheRows::bytes(CacheType::q8_0, c.v_dim)};
  }

  void product(const Matrix& m, std::int64_t first, int n, float* y, std::int64_t y_stride) const {
    cpu.rows(m, s.latents.inputs(m.format->activation, first + n).some(static_cast<int>(first), n), y,
             y_stride);
  }
};

// attn_k_b of a head, whose rows run across the sum over the latent, as rows of Q8_0 that run along it; scratch: twice
// [kv_lora_rank, nope] floats, of which the first half is the result.
Matrix turned_keys(const Kernels& k, const Matrix& k_b, const Config& c, float* scratch) {
  float* turned = scratch + c.kv_lora_rank * c.nope;
  k_b.format->decode(k_b.data, c.kv_lora_rank * c.nope, scratch);
  k.transpose(scratch, c.nope, static_cast<int>(c.kv_lora_rank), static_cast<int>(c.nope), turned,
              c.kv_lora_rank);
  auto* rows = reinterpret_cast<std::byte*>(scratch);
  k.encode[index_of<Q8_0>](turned, nullptr, c.nope * c.kv_lora_rank, rows);
  return {rows, &format_of(CacheType::q8_0), c.kv_lora_rank, c.nope};
}

// The cache as floats, and in the forms that rebuilding multiplies.
void read_latents(Cpu& cpu, const AttentionWeights& w, const Config& c, State& s, const CacheRows& cache,
                  std::int64_t end) {
  cpu.team().run(blocks_of(end, attention_block), [&](int block, int) {
    const std::int64_t first = static_cast<std::int64_t>(block) * attention_block;
    const int n = static_cast<int>(std::min<std::int64_t>(attention_block, end - first));
    float* to = s.latents.floats(first);
    const CacheRows::View rows = cache.read(cpu.kernels(), first, n, 0, c.kv_lora_rank, to);
    for (int i = 0; rows.rows != to && i < n; ++i)
      std::memcpy(to + i * c.kv_lora_rank, rows.rows + i * rows.stride,
                  static_cast<std::size_t>(c.kv_lora_rank) * sizeof(float));
  });
  s.latents.changed();
  cpu.quantize(s.latents, (w.attn_v_b ? w.attn_v_b : w.attn_kv_b).format->activation, end);
  if (in_bytes(cache.type())) cpu.quantize(s.latents, ActivationKind::act32, end);
}

void attend_decompressed(Cpu& cpu, const AttentionWeights& w, const Config& c, State& s,
                         const CacheRows& cache, const Step& step) {
  const std::int64_t qk = c.nope + c.rope;
  const auto n_tokens = static_cast<std::int64_t>(step.tokens.size());
  const std::int64_t end = step.position + n_tokens;
  read_latents(cpu, w, c, s, cache, end);
  const bool bytes = in_bytes(cache.type()) && fits_bytes(c);

  cpu.team().run(static_cast<int>(c.n_heads), [&](int task, int worker) {
    const std::int64_t head = task;
    float* keys = cpu.scratch(worker);
    float* values = keys + attention_block * qk;
    float* shared = values + attention_block * c.v_dim;
    float* rows = shared + attention_block * c.rope;
    float* decoded = rows + attention_block * byte_floats(c);
    float* scratch = decoded + 2 * c.kv_lora_rank * c.nope;
    Matrix k_rows, v_rows;
    if (!w.attn_k_b)
      k_rows = w.attn_kv_b.at(head).rows_at(0, c.nope);
    else if (bytes)
      k_rows = turned_keys(cpu.kernels(), w.attn_k_b.at(head), c, decoded);
    else
      w.attn_k_b.format->decode(w.attn_k_b.at(head).data, c.kv_lora_rank * c.nope, decoded);
    v_rows = w.attn_v_b ? w.attn_v_b.at(head) : w.attn_kv_b.at(head).rows_at(c.nope, c.v_dim);
    const AttentionGroup group{.first_position = step.position,
                               .n_tokens = static_cast<int>(n_tokens),
                               .n_heads = 1,
                               .key_width = qk,
                               .value_width = c.v_dim,
                               .scale = c.attention_scale,
                               .q = s.q.data() + head * qk,
                               .q_token_stride = c.n_heads * qk,
                               .q_head_stride = 0,
                               .out = s.attention_out.floats() + head * c.v_dim,
                               .out_token_stride = c.n_heads * c.v_dim,
                               .out_head_stride = 0};
    const Decompressor d{
        cpu, c, s, cache, k_rows, decoded, v_rows, keys, values, shared, reinterpret_cast<std::byte*>(rows)};
    if (bytes)
      attend_bytes(
          cpu, group, {0, end}, [&](std::int64_t first, int n) { return d.in_bytes(first, n); }, scratch);
    else
      attend(
          cpu, group, {0, end}, [&](std::int64_t first, int n) { return d.floats(first, n); }, scratch);
  });
}

}  // namespace

std::int64_t latent_parts(std::int64_t positions) { return blocks_of(positions, part_positions); }

std::int64_t attention_scratch_floats(const Config& c, std::int64_t max_tokens) {
  const std::int64_t width = c.kv_lora_rank + c.rope;
  const std::int64_t absorbed =
      attention_block * width + attention_scratch(head_group, width, c.kv_lora_rank);
  const std::int64_t decompressed = attention_block * (c.nope + 2 * c.rope + c.v_dim + byte_floats(c)) +
                                    2 * c.kv_lora_rank * c.nope +
                                    attention_scratch(max_tokens, c.nope + c.rope, c.v_dim);
  return std::max(absorbed, decompressed);
}

void attention_layer(Cpu& cpu, const AttentionWeights& w, const Config& c, State& s, std::int64_t layer,
                     const Step& step) {
  const auto n_tokens = static_cast<std::int64_t>(step.tokens.size());
  CacheRows& cache = s.cache[static_cast<std::size_t>(layer)];
  const Span span(cpu.profile(), "attention");
  {
    const Span part(cpu.profile(), "project");
    cpu.rms_norm(s.x.data(), w.attn_norm, c.norm_eps, n_tokens, s.h);
    project(cpu, w, c, s, n_tokens);
    rotate_and_store(cpu, w, c, s, cache, step);
  }
  {
    const Span part(cpu.profile(), "attend");
    cpu.reads((step.position + n_tokens) * cache.row_bytes());
    // An observer sees the absorbed form: a column of attn_k_b meets a query's value, attn_v_b the sum that attention
    // has made. In the other form the rows of attn_k_b run across, and attn_v_b meets latents that attention may
    // never look at. Columns of an unsplit attn_kv_b, shared by keys and values, meet the latents themselves.
    if (w.attn_kv_b) cpu.observe(w.attn_kv_b, {s.kv_a.data(), c.kv_lora_rank + c.rope, n_tokens});
    if (step.role == Role::decode || cpu.observer() != nullptr)
      attend_absorbed(cpu, w, c, s, cache, step);
    else
      attend_decompressed(cpu, w, c, s, cache, step);
  }
  const Span part(cpu.profile(), "output");
  s.attention_out.changed();
  cpu.matmul({{w.attn_output, s.h.floats(), c.dim}}, s.attention_out, n_tokens);
  cpu.add(s.h.floats(), n_tokens * c.dim, s.x.data());
}

}  // namespace coterie::deepseek
