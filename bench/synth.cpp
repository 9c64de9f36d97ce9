#include "bench/synth.h"

#include "base/errors.h"
#include "convert/architecture.h"
#include "convert/keys.h"
#include "gguf/writer.h"
#include "kernels/kernels.h"
#include "quantize/fallback.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <random>
#include <utility>
#include <vector>

namespace coterie::bench {

namespace {

// Blocks per pool: prime, so that no row length runs in step with it. Every row begins at a place of its own.
constexpr std::int64_t pool_blocks = 16381;

std::vector<std::byte> encoded_pool(const FormatInfo& f, float deviation, std::mt19937_64& random) {
  std::normal_distribution<float> gauss(0.0F, deviation);
  std::vector<float> weights(static_cast<std::size_t>(pool_blocks * f.block_size));
  for (float& w : weights) w = gauss(random);
  std::vector<std::byte> pool(static_cast<std::size_t>(pool_blocks * f.block_bytes));
  kernels().encode[f.index](weights.data(), nullptr, static_cast<std::int64_t>(weights.size()), pool.data());
  return pool;
}

class Synthesizer {
 public:
  explicit Synthesizer(const SynthOptions& o) : o_(o), config_(o.shape), file_(o.to), random_(o.seed) {}

  void run() {
    convert::write_keys(keys(), file_);
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

  convert::Keys keys() const;
  Vocabulary vocabulary() const;
  void tensors();
  void add(const convert::TensorRule& rule, std::int64_t layer);
  const std::vector<std::byte>& pool(const Planned& p);
  void write(int tensor);
  void fill_rows(const Planned& p);

  const SynthOptions& o_;
  const convert::HfConfig& config_;
  gguf::Writer file_;
  std::mt19937_64 random_;
  std::vector<Planned> plan_;
  std::map<std::tuple<const FormatInfo*, std::int64_t, Fill>, std::vector<std::byte>> pools_;
  std::vector<std::byte> chunk_;
  std::uint64_t done_ = 0;
};

convert::Keys Synthesizer::keys() const {
  convert::Keys keys;
  keys.emplace_back("general.architecture", config_.architecture->gguf_name);
  keys.emplace_back("general.type", "model");
  keys.emplace_back("general.name", "Random weights");
  constexpr std::uint32_t guessed = 1024;  // LLAMA_FTYPE_GUESSED: no single type
  convert::add_architecture_keys(config_, guessed, false, keys);
  keys.emplace_back("general.quantization_version", std::uint32_t{2});
  convert::add_tokenizer_keys(config_, vocabulary(), keys);
  return keys;
}

// The byte letters of GPT-2 (its encoder.py): printable bytes stand for themselves, the others for U+0100 and on.
std::string byte_letter(int byte, int* next) {
  const bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte != 173);
  const int code = printable ? byte : 256 + (*next)++;
  if (code < 128) return {static_cast<char>(code)};
  return {static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 63))};
}

// Every byte is a token; words that no text forms fill up the rest.
Vocabulary Synthesizer::vocabulary() const {
  Vocabulary v;
  v.model = "gpt2";
  v.pre = "deepseek-v3";
  v.tokens = {"<\uff5cbegin\u2581of\u2581sentence\uff5c>", "<\uff5cend\u2581of\u2581sentence\uff5c>",
              "<\uff5c\u2581pad\u2581\uff5c>"};
  v.kinds.resize(v.tokens.size(), TokenKind::control);
  int next = 0;
  for (int byte = 0; byte < 256; ++byte) v.tokens.push_back(byte_letter(byte, &next));
  while (static_cast<std::int64_t>(v.tokens.size()) < config_.vocab)
    v.tokens.push_back("w" + std::to_string(v.tokens.size()) + "\u0120");
  v.kinds.resize(v.tokens.size(), TokenKind::normal);
  v.bos = 0;
  v.eos = 1;
  v.pad = 2;
  v.add_bos = true;
  return v;
}

// The format of a tensor: norms, biases and the router stay exact.
const FormatInfo& wanted_format(const convert::TensorRule& rule, const FormatInfo& of_experts) {
  const std::string_view name = rule.to;
  if (rule.columns == nullptr || name.ends_with(".ffn_gate_inp.weight")) return *find_format("F32");
  if (convert::is_stacked(rule)) return of_experts;
  return *find_format(name == "output.weight" ? "Q6_K" : "Q8_0");
}

void Synthesizer::add(const convert::TensorRule& rule, std::int64_t layer) {
  if (!rule.applies(config_, layer)) return;
  const std::vector<std::int64_t> shape = convert::gguf_shape(rule, config_);
  const FormatInfo& f = quantize::format_for_rows(wanted_format(rule, *o_.type), shape[0]);
  const std::string name = convert::fill_name(rule.to, layer);
  file_.add_tensor(name, shape, f);
  const Fill vector = name.ends_with(".bias") ? Fill::zeros : Fill::ones;
  plan_.push_back({&f, shape[0], rule.columns == nullptr ? vector : Fill::gauss});
}

void Synthesizer::tensors() {
  const std::span<const convert::TensorRule> rules = config_.architecture->tensors;
  for (const convert::TensorRule& rule : rules)
    if (!convert::is_layered(rule)) add(rule, 0);
  for (std::int64_t layer = 0; layer < config_.layers; ++layer)
    for (const convert::TensorRule& rule : rules)
      if (convert::is_layered(rule)) add(rule, layer);
}

const std::vector<std::byte>& Synthesizer::pool(const Planned& p) {
  std::vector<std::byte>& pool = pools_[{p.format, p.n, p.fill}];
  if (!pool.empty()) return pool;
  if (p.fill != Fill::gauss) {
    const std::vector<float> same(static_cast<std::size_t>(pool_blocks), p.fill == Fill::ones ? 1.0F : 0.0F);
    pool.resize(same.size() * sizeof(float));
    std::memcpy(pool.data(), same.data(), pool.size());
    return pool;
  }
  const float deviation = 1.0F / std::sqrt(static_cast<float>(p.n));
  return pool = encoded_pool(*p.format, deviation, random_);
}

// Whole rows, each from its own place of the pool, round and round.
void Synthesizer::fill_rows(const Planned& p) {
  const std::vector<std::byte>& from = pool(p);
  const auto row_bytes = static_cast<std::size_t>(p.format->row_bytes(p.n));
  const auto block = static_cast<std::size_t>(p.format->block_bytes);
  for (std::size_t row = 0; row < chunk_.size(); row += row_bytes) {
    std::size_t at = random_() % pool_blocks * block;
    for (std::size_t filled = 0; filled < row_bytes; at = 0) {
      const std::size_t n = std::min(from.size() - at, row_bytes - filled);
      std::memcpy(chunk_.data() + row + filled, from.data() + at, n);
      filled += n;
    }
  }
}

void Synthesizer::write(int tensor) {
  constexpr std::uint64_t chunk_bytes = 8 << 20;
  const Planned& p = plan_[static_cast<std::size_t>(tensor)];
  const auto row_bytes = static_cast<std::uint64_t>(p.format->row_bytes(p.n));
  const std::uint64_t step = std::max<std::uint64_t>(1, chunk_bytes / row_bytes) * row_bytes;
  const std::uint64_t total = file_.tensor_bytes(tensor);
  for (std::uint64_t offset = 0; offset < total; offset += chunk_.size()) {
    chunk_.resize(std::min(step, total - offset));
    fill_rows(p);
    file_.write(tensor, offset, chunk_);
    done_ += chunk_.size();
    if (o_.progress) o_.progress(done_, file_.file_bytes());
  }
}

}  // namespace

void synthesize(const SynthOptions& options) {
  const FormatInfo& f = *options.type;
  if (f.index < 0) throw UsageError(std::string("--type: ") + f.name + " is no type of weights");
  const convert::HfConfig& c = options.shape;
  if (c.scaling.type == "llama3")
    throw UsageError("--shape: rope scaling of type llama3 cannot be made");  // it would be a tensor
  constexpr std::int64_t min_vocabulary = 3 + 256;
  if (c.vocab < min_vocabulary)
    throw UsageError("--shape: key vocab_size: found " + std::to_string(c.vocab) + ", expected at least " +
                     std::to_string(min_vocabulary));
  Synthesizer(options).run();
}

}  // namespace coterie::bench
