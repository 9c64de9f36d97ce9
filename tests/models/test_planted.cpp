// Errors that an implementation could make, planted in the model file: each one breaks the golden tolerance.
// If one of these stops failing, the golden test no longer guards that line. Also files of older writers,
// which must agree.
#include "base/errors.h"
#include "tests/models/reference.h"
#include "tests/models/rewritten.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

namespace coterie::test {

namespace {

constexpr double tolerance = 5e-4;  // as in test_golden.cpp

double error_of(const std::string& path, const Reference& r, const std::string& prompt) {
  const std::vector<float> logits = all_logits(Engine(path, exact_options()), r.prompt(prompt), Role::prompt);
  return distance(logits, r.floats(prompt + ".logits"));
}

double error_with(const std::string& model, const Rewrite& how) {
  const ScratchDir folder;
  const std::string path = folder.file("changed.gguf");
  rewrite(converted(model, "F32"), path, how);
  return error_of(path, Reference(model), "p33");
}

Rewrite integer_key(const char* name, std::int64_t wrong) {
  return {.integer = [=](std::string_view key, std::int64_t value) {
    return key.ends_with(name) ? wrong : value;
  }};
}

Rewrite number_key(const char* name, float wrong) {
  return {.number = [=](std::string_view key, float value) { return key.ends_with(name) ? wrong : value; }};
}

// Applies change to the matrix [rows, n] of one tensor.
Rewrite tensor(const char* name, std::function<void(std::int64_t n, std::vector<float>&)> change) {
  return {.change = [=](const gguf::TensorInfo& t, std::vector<float>& values) {
    if (t.name == name) change(t.shape[0], values);
  }};
}

}  // namespace

TEST_CASE("an unchanged rewrite agrees with the reference") {
  CHECK(error_with("v3-yarn", {}) <= tolerance);
  CHECK(error_with("r1-distill-llama", {}) <= tolerance);
  CHECK(error_with("r1-distill-qwen2", {}) <= tolerance);
  CHECK(error_with("qwen3-moe", {}) <= tolerance);
}

TEST_CASE("routing errors are noticed") {
  CHECK(error_with("v3-yarn", integer_key("expert_group_used_count", 3)) > tolerance);
  CHECK(error_with("v3-yarn", integer_key("expert_group_count", 8)) > tolerance);
  CHECK(error_with("v3-yarn", integer_key("expert_used_count", 3)) > tolerance);
  CHECK(error_with("v3-yarn", integer_key("expert_gating_func", 1)) > tolerance);
  CHECK(error_with("v3-yarn", number_key("expert_weights_scale", 2.49F)) > tolerance);
  CHECK(error_with("v2", integer_key("expert_group_used_count", 1)) > tolerance);
  CHECK(error_with("qwen3-moe", integer_key("expert_used_count", 1)) > tolerance);
  CHECK(error_with("v3-yarn", {.keep_tensor = [](std::string_view name) {
                     return !name.ends_with("exp_probs_b.bias");
                   }}) > tolerance);
}

TEST_CASE("a swapped rope pair, a wrong scale or frequency is noticed") {
  const auto swap_pair = [](std::int64_t n, std::vector<float>& w) {
    // The first two rotated rows of attn_kv_a_mqa, behind the latent's 64.
    for (std::int64_t i = 0; i < n; ++i)
      std::swap(w[static_cast<std::size_t>(64 * n + i)], w[static_cast<std::size_t>(65 * n + i)]);
  };
  CHECK(error_with("v3-yarn", tensor("blk.2.attn_kv_a_mqa.weight", swap_pair)) > tolerance);
  CHECK(error_with("v3-yarn", number_key("rope.freq_base", 10100.0F)) > tolerance);
  CHECK(error_with("v3-yarn", number_key("yarn_log_multiplier", 0.099F)) > tolerance);
  CHECK(error_with("v3-yarn", number_key("rope.scaling.factor", 39.0F)) > tolerance);
  CHECK(error_with("v2", number_key("yarn_beta_fast", 4.0F)) > tolerance);
  CHECK(error_with("r1-distill-llama", {.keep_tensor = [](std::string_view name) {
                     return name != "rope_freqs.weight";
                   }}) > tolerance);
}

TEST_CASE("linear scaling by 2 is what doubled frequency factors are, bit for bit") {
  const ScratchDir folder;
  const std::string scaled = folder.file("scaled.gguf"), doubled = folder.file("doubled.gguf");
  rewrite(converted("r1-distill-llama", "F32"), scaled, {.more_keys = [](gguf::Writer& out) {
            out.add_text("llama.rope.scaling.type", "linear");
            out.add<float>("llama.rope.scaling.factor", 2.0F);
          }});
  rewrite(converted("r1-distill-llama", "F32"), doubled,
          tensor("rope_freqs.weight", [](std::int64_t, std::vector<float>& w) {
            for (float& x : w) x *= 2;
          }));
  const std::vector<Token> prompt = Reference("r1-distill-llama").prompt("p33");
  const auto logits = [&](const std::string& path) {
    return all_logits(Engine(path, exact_options()), prompt, Role::prompt);
  };
  CHECK(logits(scaled) == logits(doubled));
  CHECK(distance(logits(scaled), logits(converted("r1-distill-llama", "F32"))) > tolerance);
}

TEST_CASE("a wrong norm, head order or weight is noticed") {
  CHECK(error_with("v3-yarn", number_key("layer_norm_rms_epsilon", 1e-3F)) > tolerance);
  CHECK(error_with("v3-yarn", tensor("blk.1.attn_q_a_norm.weight", [](std::int64_t, std::vector<float>& w) {
                     w[3] += 0.01F;
                   })) > tolerance);
  CHECK(error_with("v3-yarn", tensor("blk.3.attn_v_b.weight", [](std::int64_t n, std::vector<float>& w) {
                     std::swap_ranges(w.begin(), w.begin() + 48 * n, w.begin() + 48 * n);  // heads 0 and 1
                   })) > tolerance);
  CHECK(error_with("v3-yarn", tensor("blk.1.ffn_down_exps.weight", [](std::int64_t, std::vector<float>& w) {
                     for (float& x : w) x *= 1.001F;
                   })) > tolerance);
}

TEST_CASE("a wrong bias, head norm or pair of halves is noticed in the Qwen models") {
  for (const char* bias : {"blk.0.attn_q.bias", "blk.1.attn_k.bias", "blk.1.attn_v.bias"})
    CHECK(error_with("r1-distill-qwen2",
                     tensor(bias, [](std::int64_t, std::vector<float>& b) { b[3] += 0.05F; })) > tolerance);
  for (const char* norm : {"blk.0.attn_q_norm.weight", "blk.1.attn_k_norm.weight"})
    CHECK(error_with("qwen3-moe", tensor(norm, [](std::int64_t, std::vector<float>& w) { w[3] += 0.05F; })) >
          tolerance);
  const auto swap_halves = [](std::int64_t n, std::vector<float>& w) {
    std::swap_ranges(w.begin(), w.begin() + n, w.begin() + 16 * n);  // values 0 and 16 of a head of 32
  };
  for (const char* model : {"r1-distill-qwen2", "qwen3-moe"}) {
    CHECK(error_with(model, tensor("blk.1.attn_k.weight", swap_halves)) > tolerance);
    CHECK(error_with(model, number_key("rope.freq_base", 10100.0F)) > tolerance);
  }
}

TEST_CASE("a Qwen file that lacks a bias or norm, or has odd sizes, is refused by name") {
  const auto fault = [](const std::string& model, const Rewrite& how) -> std::string {
    try {
      return "accepted with error " + std::to_string(error_with(model, how));
    } catch (const ModelError& e) {
      return e.what();
    }
  };
  const auto without = [](const char* name) -> Rewrite {
    return {.keep_tensor = [=](std::string_view tensor) { return tensor != name; }};
  };
  const auto names = [](const std::string& message, const char* what) {
    INFO(message);
    CHECK(message.find(what) != std::string::npos);
  };
  names(fault("r1-distill-qwen2", without("blk.1.attn_v.bias")), "tensor blk.1.attn_v.bias: missing");
  names(fault("qwen3-moe", without("blk.0.attn_k_norm.weight")), "tensor blk.0.attn_k_norm.weight: missing");
  names(fault("qwen3-moe", without("blk.0.ffn_gate_inp.weight")),
        "tensor blk.0.ffn_gate_inp.weight: missing");
  names(fault("qwen3-moe", integer_key("attention.head_count_kv", 3)),
        "key qwen3moe.attention.head_count_kv: 3, expected a divisor of 4 heads");
  names(fault("qwen3-moe", integer_key("qwen3moe.expert_count", 7)),
        "tensor blk.0.ffn_gate_inp.weight: shape");
  names(fault("r1-distill-qwen2", integer_key("feed_forward_length", 300)), "tensor blk.0.ffn_gate.weight");
}

TEST_CASE("files from before the latent keys load: joined kv_b, other key_length, no group keys") {
  const Reference r("v3-yarn");
  const ScratchDir folder;
  const std::string path = folder.file("old.gguf");
  write_old_style(converted("v3-yarn", "F32"), path);
  for (const Role role : {Role::prompt, Role::decode}) {
    const std::vector<float> logits = all_logits(Engine(path, exact_options()), r.prompt("p33"), role);
    CHECK(distance(logits, r.floats("p33.logits")) <= tolerance);
  }
}

}  // namespace coterie::test
