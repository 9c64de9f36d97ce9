// tests/convert/test_model_name.cpp: names taken apart as gguf-py 0.19 does (its results for these ids).
#include "convert/model_name.h"

#include <doctest/doctest.h>

namespace coterie::convert {

namespace {

std::string text(const ModelName& n) {
  std::string all = n.name;
  for (const auto& part : {n.organization, n.basename, n.finetune, n.version, n.size_label})
    all += " | " + part.value_or("-");
  return all;
}

}  // namespace

TEST_CASE("a model's id says name, organization, basename, finetune, version and size") {
  constexpr auto none = std::nullopt;
  const struct {
    const char* id;
    std::int64_t parameters;
    ModelName expected;
  } cases[] = {
      {"DeepSeek-R1", 671000000000, {"DeepSeek R1", none, none, none, none, none}},
      {"DeepSeek-V3-0324", 671000000000, {"DeepSeek V3 0324", none, "DeepSeek", none, "V3-0324", none}},
      {"DeepSeek-R1-Distill-Llama-8B",
       8030000000,
       {"DeepSeek R1 Distill Llama 8B", none, "DeepSeek-R1-Distill-Llama", none, none, "8B"}},
      {"deepseek-ai/DeepSeek-V2-Lite-Chat",
       15700000000,
       {"DeepSeek V2 Lite Chat", "Deepseek Ai", "DeepSeek-V2-Lite", "Chat", none, none}},
      {"v3-fp8-mtp", 9000000, {"v3 Fp8 Mtp", none, none, none, none, none}},
      {"v2", 1000000, {"v2", none, none, none, "v2", none}},
      {"qwen3-30b-a3b-instruct-2507",
       30500000000,
       {"Qwen3 30b A3B Instruct 2507", none, "qwen3", "instruct", "2507", "30B-a3B"}},
      {"Phi-3-mini-4k-instruct",
       3800000000,
       {"Phi 3 Mini 4k Instruct", none, "Phi-3", "4k-instruct", none, "mini"}},
      {"bloom-7b1-petals", 7100000000, {"Bloom 7b1 Petals", none, "bloom", "petals", none, "7.1B"}},
      {"Some model name", 5, {"Some Model Name", none, none, none, none, none}},
      {"Mixtral-8x7B-Instruct-v0.1",
       46700000000,
       {"Mixtral 8x7B Instruct v0.1", none, "Mixtral", "Instruct", "v0.1", "8x7B"}},
      {"llama-3.1-8b-fp16", 8000000000, {"Llama 3.1 8b Fp16", none, "llama-3.1", none, none, "8B"}},
      {"./weights", 100, {"Weights", none, none, none, none, none}},
      {"a--b-", 1000, {"A B", none, none, none, none, none}},
      {"TinyLlama-1.1B-1.1B-chat-v1.0-small",
       1100000000,
       {"TinyLlama 1.1B 1.1B Chat v1.0 Small", none, "TinyLlama", "chat-small", "v1.0", "1.1B"}},
      {"v0.2-iter3-Base", 4, {"v0.2 Iter3 Base", none, none, none, none, none}},
      {"gemma-2-9b-xl", 9000000000, {"Gemma 2 9b Xl", none, "gemma-2", "xl", none, "9B"}},
  };
  for (const auto& c : cases) CHECK(text(parse_model_id(c.id, c.parameters)) == text(c.expected));
}

TEST_CASE("the folder's name completes what config.json says") {
  CHECK(text(name_of_model("", "/models/DeepSeek-V3-0324/", 671'000'000'000)) ==
        "DeepSeek V3 0324 | - | DeepSeek | - | V3-0324 | -");
  CHECK(text(name_of_model("org/Tiny-1B", "/x/y-1B-chat", 1'000'000'000)) ==
        "Tiny 1B | Org | Tiny | chat | - | 1B");
  CHECK(text(name_of_model("/home/me/models/tiny", "/x/v2", 1000)) == "v2 | - | - | - | v2 | -");
  CHECK(name_of_model(std::string(100'000, 'a'), "/x/v2", 1000).name == "v2");
}

TEST_CASE("sizes are rounded to two digits") {
  const struct {
    ParameterCount count;
    const char* label;
  } cases[] = {
      {{607000, 607000, 0, 0}, "607K"},
      {{8030261248, 1, 0, 0}, "8.0B"},
      {{671026419200, 17210000000, 2552000000, 256}, "256x20B"},
      {{999500, 0, 0, 0}, "1000K"},
      {{1000000, 0, 0, 0}, "1000K"},
      {{15700, 0, 0, 0}, "16K"},
      {{9949, 0, 0, 0}, "10K"},
      {{1500, 0, 0, 0}, "1.5K"},
      {{0, 300, 200, 4}, "4x0.50K"},
  };
  for (const auto& c : cases) CHECK(size_label(c.count) == c.label);
}

}  // namespace coterie::convert
