// bench/synth.h: files of true shapes that load and compute something sane.
#include "bench/synth.h"

#include "base/errors.h"
#include "engine/engine.h"
#include "gguf/verify.h"
#include "quantize/fallback.h"
#include "tests/support/scratch_dir.h"

#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <set>
#include <string>

namespace coterie::bench {

namespace {

constexpr const char* small_config = R"({
  "architectures": ["DeepseekV3ForCausalLM"],
  "vocab_size": 600, "max_position_embeddings": 2048, "hidden_size": 256, "num_hidden_layers": 3,
  "first_k_dense_replace": 1, "num_attention_heads": 4, "q_lora_rank": 256, "kv_lora_rank": 128, "qk_nope_head_dim": 64,
  "qk_rope_head_dim": 32, "v_head_dim": 64, "intermediate_size": 512, "moe_intermediate_size": 256,
  "n_routed_experts": 16, "num_experts_per_tok": 4, "n_group": 4, "topk_group": 2, "n_shared_experts": 1,
  "scoring_func": "sigmoid", "norm_topk_prob": true, "routed_scaling_factor": 1.75, "rope_theta": 50000,
  "rope_scaling": {"type": "yarn", "factor": 16, "original_max_position_embeddings": 64, "mscale_all_dim": 0.5}})";

convert::HfConfig small_shape(const test::ScratchDir& dir, const std::string& config = small_config) {
  test::write_file(dir.file("config.json"), std::as_bytes(std::span(config)));
  return find_shape(dir.file("config.json"));
}

const FormatInfo& format(std::string_view name) { return *find_format(name); }

void make(const std::string& path, const convert::HfConfig& shape, const FormatInfo& type,
          std::uint64_t seed = 1) {
  synthesize({.shape = shape, .type = &type, .seed = seed, .to = path, .progress = {}});
}

struct Outcome {
  double deviation = 0;   // of the logits
  std::set<int> experts;  // chosen in the last layer
};

Outcome run(const std::string& path) {
  EngineOptions options;
  options.threads = 2;
  const Engine engine(path, options);
  Session session(engine);
  std::vector<RouteRecord> routes;
  session.record_routes(&routes);
  std::vector<Token> tokens;
  for (Token t = 0; t < 40; ++t) tokens.push_back(t * 13);
  Outcome outcome;
  const std::span<const float> logits = session.feed(tokens, Role::prompt);
  for (const float x : logits) outcome.deviation += static_cast<double>(x) * static_cast<double>(x);
  outcome.deviation = std::sqrt(outcome.deviation / static_cast<double>(logits.size()));
  for (const std::vector<int>& ids : routes.back().ids) outcome.experts.insert(ids.begin(), ids.end());
  return outcome;
}

std::string refusal(const std::string& shape) {
  try {
    find_shape(shape);
  } catch (const Error& e) {
    return e.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("a file loads and computes sane logits") {
  const test::ScratchDir dir;
  const convert::HfConfig shape = small_shape(dir);
  const std::string path = dir.file("x.gguf");
  for (const char* name : {"BF16", "Q4_K", "IQ1_M", "IQ2_XXS", "TQ1_0", "MXFP4", "NVFP4"}) {
    INFO(std::string(name));
    make(path, shape, format(name));
    const gguf::Reader file(path);
    gguf::verify_blocks(file);
    CHECK(file.find_tensor("blk.1.ffn_up_exps.weight")->format == &format(name));
    const Outcome outcome = run(path);
    CHECK(outcome.deviation > 0.3);
    CHECK(outcome.deviation < 3);
    CHECK(outcome.experts.size() > 8);
  }
  CHECK_THROWS_AS(make(path, shape, format("I32")), UsageError);
}

TEST_CASE("the numbers of the configuration are in the file") {
  const test::ScratchDir dir;
  make(dir.file("x.gguf"), small_shape(dir), format("Q8_0"));
  const gguf::Reader file(dir.file("x.gguf"));
  CHECK(file.number("deepseek2.rope.freq_base") == 50000);
  CHECK(file.number("deepseek2.rope.scaling.factor") == 16);
  CHECK(file.number("deepseek2.rope.scaling.yarn_log_multiplier") == doctest::Approx(0.05));
  CHECK(file.number("deepseek2.expert_weights_scale") == 1.75);
  CHECK(file.integer("deepseek2.block_count", 0, 99) == 3);
  CHECK(file.integer("deepseek2.leading_dense_block_count", 0, 99) == 1);
}

TEST_CASE("no stretch of rows comes twice") {
  const test::ScratchDir dir;
  make(dir.file("x.gguf"), small_shape(dir), format("Q8_0"));
  const gguf::Reader file(dir.file("x.gguf"));
  const gguf::TensorInfo& up = *file.find_tensor("blk.1.ffn_up_exps.weight");
  const auto row_bytes = static_cast<std::size_t>(up.format->row_bytes(up.shape[0]));
  const std::byte* data = up.data;
  const auto row = [&](std::size_t i) {
    return std::string(reinterpret_cast<const char*>(data) + i * row_bytes, row_bytes);
  };
  std::map<std::string, std::string> next;  // what came after a row
  int equal = 0;
  int followed_alike = 0;
  const auto n = static_cast<std::size_t>(up.shape[1] * up.shape[2]);
  for (std::size_t i = 0; i + 1 < n; ++i) {
    const auto [place, is_new] = next.emplace(row(i), row(i + 1));
    if (is_new) continue;
    ++equal;
    followed_alike += place->second == row(i + 1) ? 1 : 0;
  }
  CHECK(equal < static_cast<int>(n) / 4);
  CHECK(followed_alike < 3);
}

TEST_CASE("V2's gating, no groups, no query latent load too") {
  const test::ScratchDir dir;
  convert::HfConfig shape = small_shape(dir);
  shape.q_lora = 0;
  shape.gating = "softmax";
  shape.normalize = shape.correction_bias = false;
  shape.groups = shape.groups_used = 1;
  shape.shared_experts = 2;
  make(dir.file("x.gguf"), shape, format("Q8_0"));
  CHECK(run(dir.file("x.gguf")).deviation > 0.3);
}

TEST_CASE("the same arguments give the same bytes, another seed others; progress ends at the whole") {
  const test::ScratchDir dir;
  const convert::HfConfig shape = small_shape(dir);
  std::uint64_t last = 0;
  synthesize({.shape = shape,
              .type = &format("Q4_K"),
              .seed = 1,
              .to = dir.file("a"),
              .progress = [&](std::uint64_t done, std::uint64_t) { last = done; }});
  make(dir.file("b"), shape, format("Q4_K"), 1);
  make(dir.file("c"), shape, format("Q4_K"), 2);
  const std::vector<std::byte> a = test::read_file(dir.file("a"));
  CHECK((a == test::read_file(dir.file("b"))));
  CHECK((a != test::read_file(dir.file("c"))));
  CHECK(last > a.size() * 9 / 10);
  CHECK(last <= a.size());
}

TEST_CASE("rows that blocks do not divide fall back as llama.cpp's quantizer does") {
  const auto fallback = [](const char* wanted, std::int64_t n) {
    return std::string(quantize::format_for_rows(format(wanted), n).name);
  };
  CHECK(fallback("Q4_K", 1408) == "Q5_0");
  CHECK(fallback("Q5_K", 1408) == "Q5_1");
  CHECK(fallback("Q6_K", 1408) == "Q8_0");
  CHECK(fallback("IQ4_XS", 1408) == "IQ4_NL");
  CHECK(fallback("Q2_K", 1408) == "Q4_0");
  CHECK(fallback("Q4_K", 2048) == "Q4_K");
  CHECK(fallback("Q8_0", 1408) == "Q8_0");
  CHECK(fallback("Q8_0", 48) == "F16");
  CHECK(fallback("Q4_K", 48) == "F16");
}

TEST_CASE("unknown shapes and bad configurations are refused by name") {
  CHECK(refusal("deepseek-r2").find("deepseek-r2") != std::string::npos);
  const test::ScratchDir dir;
  std::string config = small_config;
  config.replace(config.find("\"num_attention_heads\": 4"), 24, "\"num_attention_heads\": 0");
  test::write_file(dir.file("config.json"), std::as_bytes(std::span(config)));
  CHECK(refusal(dir.file("config.json")) ==
        dir.file("config.json") + ": key num_attention_heads: found 0, allowed are integers from 1 to 4096");
}

}  // namespace coterie::bench
