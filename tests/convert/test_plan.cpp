// tests/convert/test_plan.cpp: whatever does not fit is named before any work starts.
#include "convert/plan.h"

#include "base/errors.h"
#include "convert/architecture.h"
#include "convert/convert.h"
#include "tests/convert/checkpoint.h"
#include "tests/convert/has.h"

#include <doctest/doctest.h>
#include <chrono>

namespace coterie::convert {

namespace {

namespace fs = std::filesystem;
using test::DamagedCheckpoint;
using test::has;
using test::Json;

// The error of a conversion, which must leave no file.
std::string error_of(const std::string& folder) {
  const test::ScratchDir out;
  ConvertOptions options;
  options.from = folder;
  options.to = out.file("out.gguf");
  options.types = one_type(*find_format(std::string_view("BF16")));
  std::string error;
  try {
    convert(options);
    return "";
  } catch (const Error& e) {
    error = e.what();
    CHECK(e.exit_code() == 3);
  }
  CHECK(!fs::exists(options.to));
  CHECK(!fs::exists(options.to + ".partial"));
  CHECK(error.find('\n') == std::string::npos);
  CHECK(error.size() < folder.size() + 400);
  return error;
}

std::string after_folder(const std::string& error, const std::string& folder) {
  CHECK(error.starts_with(folder));
  return error.substr(std::min(error.size(), folder.size()));
}

struct ConfigCase {
  const char* key;
  const char* value;  // JSON; null: the key is removed
  const char* error;  // contained
};

}  // namespace

TEST_CASE("folders of the malformed set that have sound weights are refused by their configuration") {
  for (const std::string name : {"dir-config-garbage", "dir-config-missing", "dir-config-arch-unknown",
                                 "dir-config-keys-missing", "dir-config-bomb", "dir-00-ok"}) {
    const std::string folder = test::golden("malformed/safetensors/" + name);
    if (!has("malformed/safetensors/" + name)) continue;
    INFO(name);
    CHECK(after_folder(error_of(folder), folder).starts_with("/config.json: "));
  }
}

TEST_CASE("every number of config.json has a range, and a value beyond it is named with the range") {
  if (!has("models/v2-lite")) return;
  static constexpr ConfigCase cases[] = {
      {"num_hidden_layers", "null", "num_hidden_layers: missing"},
      {"num_hidden_layers", "0", "num_hidden_layers: found 0, allowed are integers from 1 to 1024"},
      {"num_hidden_layers", "1025", "found 1025, allowed are integers from 1 to 1024"},
      {"num_hidden_layers", "2.0", "found 2.0, allowed are integers"},
      {"num_hidden_layers", "\"2\"", "found \"2\", allowed are integers"},
      {"hidden_size", "-1", "found -1"},
      {"hidden_size", "18446744073709551615", "found 18446744073709551615"},
      {"hidden_size", "9223372036854775808", "found 9223372036854775808"},
      {"hidden_size", "1048576",
       "tensor \"model.embed_tokens.weight\": shape [1024,256], expected [1024,1048576]"},
      {"vocab_size", "99999999999", "found 99999999999"},
      {"vocab_size", "[]", "found []"},
      {"num_attention_heads", "4097", "from 1 to 4096"},
      {"num_attention_heads", "3", "num_key_value_heads: 4 does not divide the 3 attention heads"},
      {"n_routed_experts", "5000", "from 1 to 4096"},
      {"n_routed_experts", "4096", "expected [4096,256] by config.json"},
      {"num_experts_per_tok", "9", "num_experts_per_tok: 9 of 8 experts"},
      {"n_group", "3", "n_group: 3 does not divide 8 experts"},
      {"topk_group", "2", "topk_group: 2 of 1 groups"},
      {"first_k_dense_replace", "4", "first_k_dense_replace: 4 of 3 layers"},
      {"first_k_dense_replace", "2",
       "tensor \"model.layers.1.mlp.down_proj.weight\": missing, expected with shape [256,512]"},
      {"qk_rope_head_dim", "33", "qk_rope_head_dim: is odd"},
      {"rms_norm_eps", "0", "rms_norm_eps: found 0, allowed are numbers from"},
      {"rms_norm_eps", "1e300", "rms_norm_eps: found 1e+300"},
      {"rope_theta", "true", "rope_theta: found true"},
      {"scoring_func", "\"tanh\"", "scoring_func: found \"tanh\", allowed are sigmoid, softmax"},
      {"hidden_act", "\"gelu\"", "hidden_act: found \"gelu\", allowed are silu"},
      {"moe_layer_freq", "2", "moe_layer_freq: found 2"},
      {"rope_scaling", "7", "rope_scaling: found 7, expected an object"},
      {"rope_scaling", "{\"type\":\"yarn\"}", "rope_scaling: key factor: missing"},
      {"rope_scaling", "{\"type\":\"yarn\",\"factor\":0}", "key factor: found 0"},
      {"rope_scaling", "{\"type\":\"dynamic\",\"factor\":2}", "found \"dynamic\", allowed are yarn, llama3"},
      {"quantization_config", "{\"quant_method\":\"awq\"}", "quant_method: found \"awq\", allowed are fp8"},
      {"quantization_config", "{\"quant_method\":\"fp8\",\"weight_block_size\":[0,128]}", "found 0"},
      {"architectures", "[\"GPT2LMHeadModel\"]",
       "found \"GPT2LMHeadModel\", known are DeepseekV2ForCausalLM"},
      {"architectures", "[]", "architectures: missing"},
      {"tie_word_embeddings", "1", "tie_word_embeddings: found 1, expected true or false"},
      {"q_lora_rank", "64",
       "tensor \"model.layers.0.self_attn.q_a_proj.weight\": missing, expected with shape [64,256]"},
      {"n_shared_experts", "1",
       "mlp.shared_experts.down_proj.weight\": shape [256,192], expected [256,96] by config.json"},
      {"num_hidden_layers", "2",
       "tensor \"model.layers.2.input_layernorm.weight\": not expected in a DeepseekV2ForCausalLM of 2 "
       "layers"},
  };
  DamagedCheckpoint checkpoint("v2-lite");
  for (const ConfigCase& c : cases) {
    INFO(std::string(c.key), " = ", std::string(c.value));
    Json before;
    checkpoint.edit_json("config.json", [&](Json& config) {
      before = config;
      config[c.key] = Json::parse(c.value);
    });
    const std::string error = error_of(checkpoint.folder());
    CHECK_MESSAGE(error.find(c.error) != std::string::npos, error);
    checkpoint.edit_json("config.json", [&](Json& config) { config = before; });
  }
  CHECK(error_of(checkpoint.folder()).empty());
}

TEST_CASE("the largest configuration is refused at once, without a list of its tensors") {
  if (!has("models/v2-lite")) return;
  DamagedCheckpoint checkpoint("v2-lite");
  checkpoint.edit_json("config.json", [](Json& c) {
    c["num_hidden_layers"] = 1024;
    c["n_routed_experts"] = 4096;
  });
  const auto start = std::chrono::steady_clock::now();
  CHECK(!error_of(checkpoint.folder()).empty());
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(1));
}

TEST_CASE("a tensor that is missing, unknown, of another shape or type is named") {
  if (!has("models/r1-distill-llama")) return;
  const std::string k = "model.layers.1.self_attn.k_proj.weight";
  const struct {
    std::function<void(Json&)> edit;
    std::string error;
  } cases[] = {
      {[&](Json& h) { test::rename(h, k, "model.layers.1.self_attn.kk_proj.weight"); },
       ": tensor \"" + k + "\": missing, expected with shape [64,128]"},
      {[&](Json& h) {
         h[k]["shape"] = {128, 64};
       },
       ": tensor \"" + k + "\": shape [128,64], expected [64,128] by config.json"},
      {[&](Json& h) { h[k]["dtype"] = "I16"; }, ": tensor \"" + k + "\": dtype I16, expected a float type"},
      {[&](Json& h) {
         h["model.layers.0.self_attn.rotary.weight"] = {
             {"dtype", "F32"}, {"shape", {0}}, {"data_offsets", {0, 0}}};
       },
       ": tensor \"model.layers.0.self_attn.rotary.weight\": not expected in a LlamaForCausalLM of 2 layers"},
      {[&](Json& h) {
         h["model.layers.2.self_attn.k_proj.weight"] = {
             {"dtype", "F32"}, {"shape", {0}}, {"data_offsets", {0, 0}}};
       },
       ": tensor \"model.layers.2.self_attn.k_proj.weight\": not expected in a LlamaForCausalLM of 2 layers"},
      {[&](Json& h) {
         h["model.layers.01.self_attn.k_proj.weight"] = {
             {"dtype", "F32"}, {"shape", {0}}, {"data_offsets", {0, 0}}};
       },
       ": tensor \"model.layers.01.self_attn.k_proj.weight\": not expected in a LlamaForCausalLM of 2 "
       "layers"},
      {[&](Json& h) {
         h["model.layers.#.self_attn.k_proj.weight"] = {
             {"dtype", "F32"}, {"shape", {0}}, {"data_offsets", {0, 0}}};
       },
       ": tensor \"model.layers.#.self_attn.k_proj.weight\": not expected in a LlamaForCausalLM of 2 layers"},
      {[&](Json& h) {
         h[k + "_scale_inv"] = {{"dtype", "F32"}, {"shape", {0}}, {"data_offsets", {0, 0}}};
       },
       ": tensor \"" + k + "_scale_inv\": scales a tensor of dtype BF16"},
  };
  for (const auto& c : cases) {
    DamagedCheckpoint checkpoint("r1-distill-llama");
    checkpoint.edit_header(c.edit);
    CHECK(after_folder(error_of(checkpoint.folder()), checkpoint.folder()) == c.error);
  }
}

TEST_CASE("FP8 matrices without their scales, or with scales of another shape, are named") {
  if (!has("models/v3-fp8-mtp")) return;
  const std::string o = "model.layers.0.self_attn.o_proj.weight";
  const std::string shard = "model-00001-of-000003.safetensors";
  {
    DamagedCheckpoint checkpoint("v3-fp8-mtp");
    checkpoint.edit_header([&](Json& h) { h[o + "_scale_inv"]["shape"] = {4, 1}; }, shard);
    CHECK(after_folder(error_of(checkpoint.folder()), checkpoint.folder()) ==
          ": tensor \"" + o + "_scale_inv\": shape [4,1], expected [2,2]");
  }
  DamagedCheckpoint checkpoint("v3-fp8-mtp");
  checkpoint.edit_header([&](Json& h) { test::rename(h, o + "_scale_inv", "model.other"); }, shard);
  checkpoint.edit_json("model.safetensors.index.json", [&](Json& index) {
    index["weight_map"]["model.other"] = shard;
    index["weight_map"].erase(o + "_scale_inv");
  });
  CHECK(after_folder(error_of(checkpoint.folder()), checkpoint.folder()) ==
        ": tensor \"" + o + "_scale_inv\": missing");
}

TEST_CASE("a prediction layer that is promised and not there is left out") {
  if (!has("models/v3-yarn")) return;
  DamagedCheckpoint checkpoint("v3-yarn");
  checkpoint.edit_json("config.json", [](Json& c) { c["num_nextn_predict_layers"] = 1; });
  CHECK(error_of(checkpoint.folder()).empty());
}

TEST_CASE("a tied head is the embedding: nothing is expected, and a copy is left out") {
  if (!has("models/r1-distill-llama")) return;
  DamagedCheckpoint checkpoint("r1-distill-llama");
  checkpoint.edit_json("config.json", [](Json& c) { c["tie_word_embeddings"] = true; });
  const SafeTensors opened(checkpoint.folder());
  const Plan plan =
      plan_tensors(read_hf_config(checkpoint.folder()), opened, one_type(*find_format("F16")), Mtp::separate);
  for (const PlannedTensor& t : plan.model.tensors) CHECK(t.name != "output.weight");
  CHECK(plan.model.tensors.size() == 21);
}

TEST_CASE("names are taken apart and put together without loss") {
  const ParsedName name = parse_name("model.layers.3.mlp.experts.17.up_proj.weight");
  CHECK(name.pattern == "model.layers.#.mlp.experts.#.up_proj.weight");
  CHECK(name.numbers[0] == 3);
  CHECK(name.numbers[1] == 17);
  CHECK(fill_name(name.pattern.c_str(), 3, 17) == "model.layers.3.mlp.experts.17.up_proj.weight");
  CHECK(parse_name("lm_head.weight").pattern == "lm_head.weight");
  CHECK(parse_name("a..b").pattern == "a..b");
  CHECK(parse_name("").pattern.empty());
  for (const Architecture& a : architectures())
    for (const TensorRule& rule : a.tensors)
      CHECK(parse_name(fill_name(rule.from, 1, 2)).pattern == rule.from);
}

}  // namespace coterie::convert
