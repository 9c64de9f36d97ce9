#include "bench/synth.h"

#include "base/errors.h"
#include "base/half.h"
#include "gguf/writer.h"
#include "kernels/kernels.h"
#include "quantize/fallback.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

namespace coterie::bench {

namespace {

// Blocks per pool: prime, so that no row length runs in step with it.
constexpr std::int64_t pool_blocks = 4093;

// Formats without an encoder whose block begins with a half-precision scale: random codes under a fitting scale.
constexpr std::array scaled_in_front{"IQ1_S", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S"};

std::vector<std::byte> encoded_pool(const FormatInfo& f, float deviation, std::mt19937_64& random) {
  std::normal_distribution<float> gauss(0.0F, deviation);
  std::vector<float> weights(static_cast<std::size_t>(pool_blocks * f.block_size));
  for (float& w : weights) w = gauss(random);
  std::vector<std::byte> pool(static_cast<std::size_t>(pool_blocks * f.block_bytes));
  kernels().encode[f.index](weights.data(), nullptr, static_cast<std::int64_t>(weights.size()), pool.data());
  return pool;
}

std::vector<std::byte> random_pool(const FormatInfo& f, float deviation, std::mt19937_64& random) {
  std::vector<std::byte> pool(static_cast<std::size_t>(pool_blocks * f.block_bytes));
  for (std::byte& b : pool) b = static_cast<std::byte>(random());
  std::vector<float> w(static_cast<std::size_t>(f.block_size));
  for (std::int64_t i = 0; i < pool_blocks; ++i) {
    std::byte* block = pool.data() + i * f.block_bytes;
    const auto set_scale = [&](float d) {
      const std::uint16_t half = float_to_half(d);
      std::memcpy(block, &half, sizeof half);
    };
    set_scale(1.0F);
    f.decode(block, f.block_size, w.data());
    const double sum = std::inner_product(w.begin(), w.end(), w.begin(), 0.0);
    set_scale(deviation / static_cast<float>(std::sqrt(sum / f.block_size) + 1e-9));
  }
  return pool;
}

class Synthesizer {
 public:
  explicit Synthesizer(const SynthOptions& o) : o_(o), s_(o.shape), file_(o.to), random_(o.seed) {}

  void run() {
    keys();
    tokenizer();
    tensors();
    file_.begin_data();
    for (std::size_t i = 0; i < plan_.size(); ++i) write(static_cast<int>(i));
    file_.commit();
  }

 private:
  enum class Fill { gauss, ones, zeros };
  struct Planned {
    const FormatInfo* format;
    std::int64_t n;  // row length
    Fill fill;
  };

  void integer(const char* key, std::int64_t value) {
    file_.add<std::uint32_t>(std::string("deepseek2.") + key, static_cast<std::uint32_t>(value));
  }
  void number(const char* key, float value) { file_.add<float>(std::string("deepseek2.") + key, value); }
  void keys();
  void tokenizer();
  void tensors();
  void attention(const std::string& blk);
  void layer(std::int64_t i);
  void add(const std::string& name, std::vector<std::int64_t> shape, const char* format,
           Fill fill = Fill::gauss);
  const std::vector<std::byte>& pool(const Planned& p);
  void write(int tensor);

  const SynthOptions& o_;
  const Shape& s_;
  gguf::Writer file_;
  std::mt19937_64 random_;
  std::vector<Planned> plan_;
  std::map<std::tuple<const FormatInfo*, std::int64_t, Fill>, std::vector<std::byte>> pools_;
  std::vector<std::byte> chunk_;
  std::uint64_t done_ = 0;
};

void Synthesizer::keys() {
  file_.add_text("general.architecture", "deepseek2");
  file_.add_text("general.type", "model");
  file_.add_text("general.name", "Random weights");
  integer("block_count", s_.dense_layers + s_.moe_layers);
  integer("context_length", s_.context);
  integer("embedding_length", s_.dim);
  integer("feed_forward_length", s_.dense_inner);
  integer("attention.head_count", s_.heads);
  integer("attention.head_count_kv", 1);
  file_.add_text("deepseek2.rope.scaling.type", "yarn");
  number("rope.scaling.factor", s_.yarn_factor);
  integer("rope.scaling.original_context_length", s_.original_context);
  number("rope.scaling.yarn_log_multiplier", s_.yarn_log);
  number("rope.freq_base", s_.rope_base);
  number("attention.layer_norm_rms_epsilon", 1e-6F);
  integer("expert_count", s_.experts);
  integer("expert_used_count", s_.used);
  integer("expert_group_count", s_.groups);
  integer("expert_group_used_count", s_.groups_used);
  integer("expert_gating_func", s_.sigmoid ? 2 : 1);
  integer("attention.key_length", s_.kv_lora + s_.rope);
  integer("attention.value_length", s_.kv_lora);
  integer("leading_dense_block_count", s_.dense_layers);
  integer("vocab_size", s_.vocabulary);
  if (s_.q_lora > 0) integer("attention.q_lora_rank", s_.q_lora);
  integer("attention.kv_lora_rank", s_.kv_lora);
  integer("attention.key_length_mla", s_.nope + s_.rope);
  integer("attention.value_length_mla", s_.v);
  integer("expert_feed_forward_length", s_.expert_inner);
  integer("expert_shared_count", s_.shared);
  number("expert_weights_scale", s_.scale);
  file_.add<bool>("deepseek2.expert_weights_norm", s_.normalize);
  integer("rope.dimension_count", s_.rope);
  file_.add<std::uint32_t>("general.quantization_version", 2);
}

// The byte letters of GPT-2 (its encoder.py): printable bytes stand for themselves, the others for U+0100 and on.
std::string byte_letter(int byte, int* next) {
  const bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173);
  const int code = printable ? byte : 256 + (*next)++;
  if (code < 128) return {static_cast<char>(code)};
  return {static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 63))};
}

void Synthesizer::tokenizer() {
  std::vector<std::string> tokens{"<\uff5cbegin\u2581of\u2581sentence\uff5c>",
                                  "<\uff5cend\u2581of\u2581sentence\uff5c>", "<\uff5c\u2581pad\u2581\uff5c>"};
  std::vector<std::int32_t> kinds(tokens.size(), 3);
  int next = 0;
  for (int byte = 0; byte < 256; ++byte) tokens.push_back(byte_letter(byte, &next));
  while (static_cast<std::int64_t>(tokens.size()) < s_.vocabulary)
    tokens.push_back("w" + std::to_string(tokens.size()) + "\u0120");
  kinds.resize(tokens.size(), 1);
  file_.add_text("tokenizer.ggml.model", "gpt2");
  file_.add_text("tokenizer.ggml.pre", "deepseek-v3");
  file_.add_texts("tokenizer.ggml.tokens", tokens);
  file_.add_array<std::int32_t>("tokenizer.ggml.token_type", kinds);
  file_.add_texts("tokenizer.ggml.merges", std::vector<std::string>{});
  file_.add<std::uint32_t>("tokenizer.ggml.bos_token_id", 0);
  file_.add<std::uint32_t>("tokenizer.ggml.eos_token_id", 1);
  file_.add<std::uint32_t>("tokenizer.ggml.padding_token_id", 2);
  file_.add<bool>("tokenizer.ggml.add_bos_token", true);
}

void Synthesizer::add(const std::string& name, std::vector<std::int64_t> shape, const char* format,
                      Fill fill) {
  const FormatInfo& wanted = format == nullptr ? *o_.type : *find_format(format);
  const FormatInfo& f = quantize::format_for_rows(wanted, shape[0]);
  file_.add_tensor(name, shape, f);
  plan_.push_back({&f, shape[0], fill});
}

void Synthesizer::attention(const std::string& blk) {
  const std::int64_t qk = s_.nope + s_.rope;
  add(blk + "attn_norm.weight", {s_.dim}, "F32", Fill::ones);
  if (s_.q_lora > 0) {
    add(blk + "attn_q_a.weight", {s_.dim, s_.q_lora}, "Q8_0");
    add(blk + "attn_q_a_norm.weight", {s_.q_lora}, "F32", Fill::ones);
    add(blk + "attn_q_b.weight", {s_.q_lora, s_.heads * qk}, "Q8_0");
  } else {
    add(blk + "attn_q.weight", {s_.dim, s_.heads * qk}, "Q8_0");
  }
  add(blk + "attn_kv_a_mqa.weight", {s_.dim, s_.kv_lora + s_.rope}, "Q8_0");
  add(blk + "attn_kv_a_norm.weight", {s_.kv_lora}, "F32", Fill::ones);
  add(blk + "attn_k_b.weight", {s_.nope, s_.kv_lora, s_.heads}, "Q8_0");
  add(blk + "attn_v_b.weight", {s_.kv_lora, s_.v, s_.heads}, "Q8_0");
  add(blk + "attn_output.weight", {s_.heads * s_.v, s_.dim}, "Q8_0");
}

void Synthesizer::layer(std::int64_t i) {
  const std::string blk = "blk." + std::to_string(i) + ".";
  attention(blk);
  add(blk + "ffn_norm.weight", {s_.dim}, "F32", Fill::ones);
  const auto network = [&](const char* suffix, std::int64_t inner, const char* format, std::int64_t count) {
    const auto name = [&](const char* root) { return blk + root + suffix + ".weight"; };
    const auto shape = [&](std::int64_t n, std::int64_t rows) {
      return count > 0 ? std::vector<std::int64_t>{n, rows, count} : std::vector<std::int64_t>{n, rows};
    };
    add(name("ffn_gate"), shape(s_.dim, inner), format);
    add(name("ffn_up"), shape(s_.dim, inner), format);
    add(name("ffn_down"), shape(inner, s_.dim), format);
  };
  if (i < s_.dense_layers) return network("", s_.dense_inner, "Q8_0", 0);
  add(blk + "ffn_gate_inp.weight", {s_.dim, s_.experts}, "F32");
  if (s_.sigmoid) add(blk + "exp_probs_b.bias", {s_.experts}, "F32", Fill::zeros);
  network("_exps", s_.expert_inner, nullptr, s_.experts);
  if (s_.shared > 0) network("_shexp", s_.shared * s_.expert_inner, "Q8_0", 0);
}

void Synthesizer::tensors() {
  add("token_embd.weight", {s_.dim, s_.vocabulary}, "Q8_0");
  for (std::int64_t i = 0; i < s_.dense_layers + s_.moe_layers; ++i) layer(i);
  add("output_norm.weight", {s_.dim}, "F32", Fill::ones);
  add("output.weight", {s_.dim, s_.vocabulary}, "Q6_K");
}

const std::vector<std::byte>& Synthesizer::pool(const Planned& p) {
  std::vector<std::byte>& pool = pools_[{p.format, p.n, p.fill}];
  if (!pool.empty()) return pool;
  const float deviation = p.fill == Fill::gauss ? 1.0F / std::sqrt(static_cast<float>(p.n)) : 0.0F;
  if (p.fill == Fill::ones) {
    const std::vector<float> ones(static_cast<std::size_t>(pool_blocks), 1.0F);
    pool.resize(ones.size() * sizeof(float));
    std::memcpy(pool.data(), ones.data(), pool.size());
  } else if (p.format->encode != nullptr) {
    pool = encoded_pool(*p.format, deviation, random_);
  } else {
    pool = random_pool(*p.format, deviation, random_);
  }
  return pool;
}

void Synthesizer::write(int tensor) {
  constexpr std::uint64_t chunk_bytes = 8 << 20;
  const std::vector<std::byte>& from = pool(plan_[static_cast<std::size_t>(tensor)]);
  const auto block = static_cast<std::uint64_t>(plan_[static_cast<std::size_t>(tensor)].format->block_bytes);
  const std::uint64_t total = file_.tensor_bytes(tensor);
  std::uint64_t at = random_() % pool_blocks * block;  // in the pool
  for (std::uint64_t offset = 0; offset < total; offset += chunk_.size()) {
    chunk_.resize(std::min(chunk_bytes, total - offset));
    for (std::uint64_t filled = 0; filled < chunk_.size();) {
      const std::uint64_t n = std::min(from.size() - at, chunk_.size() - filled);
      std::memcpy(chunk_.data() + filled, from.data() + at, n);
      filled += n;
      at = (at + n) % from.size();
    }
    file_.write(tensor, offset, chunk_);
    done_ += chunk_.size();
    if (o_.progress) o_.progress(done_, file_.file_bytes());
  }
}

}  // namespace

void synthesize(const SynthOptions& options) {
  const FormatInfo& f = *options.type;
  const bool in_front =
      std::ranges::any_of(scaled_in_front, [&](const char* name) { return f.name == std::string(name); });
  if (f.index < 0 || (f.encode == nullptr && !in_front))
    throw UsageError(std::string("--type: ") + f.name + " cannot be made: it has no encoder yet");
  Synthesizer(options).run();
}

}  // namespace coterie::bench
