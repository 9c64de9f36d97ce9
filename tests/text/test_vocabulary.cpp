// Where vocabularies come from: GGUF keys and tokenizer.json, the same data either way; and what hostile ones
// end in.
#include "base/errors.h"
#include "convert/hf_tokenizer.h"
#include "gguf/reader.h"
#include "gguf/writer.h"
#include "models/pre_tokenizers.h"
#include "tests/support/golden.h"
#include "tests/support/gunzip.h"
#include "tests/support/scratch_dir.h"
#include "tests/support/sha256.h"
#include "tests/text/vocabularies.h"
#include "text/tokenizer.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <cstdio>
#include <filesystem>
#include <functional>

namespace coterie::text {

namespace {

using nlohmann::json;
using test::small_vocabulary;

// As Python's json.dumps writes a list, which is what the manifests hash.
std::string python_list(const json& list) {
  std::string text = "[";
  for (const json& item : list) text += (text.size() > 1 ? ", " : "") + item.dump(-1, ' ', true);
  return text + "]";
}

template <class Value>
bool matches(const json& kv, const char* key, const std::vector<Value>& values) {
  const std::string list = python_list(json(values));
  const json& expected = kv["tokenizer.ggml." + std::string(key)]["value"];
  return expected["length"] == values.size() &&
         expected["sha256_of_json"] == test::sha256(std::as_bytes(std::span(list)));
}

std::string fault(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& e) {
    CHECK(e.exit_code() == 3);
    CHECK(std::string(e.what()).find('\n') == std::string::npos);
    return e.what();
  }
  return "none";
}

// The fault of a vocabulary after one change to a sound one.
std::string fault_of(const std::function<void(Vocabulary&)>& change) {
  Vocabulary v = small_vocabulary();
  change(v);
  return fault([&] { const Tokenizer tokenizer(v); });
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

json small_tokenizer_json() {
  const Vocabulary v = small_vocabulary();
  json vocab;
  for (std::size_t id = 0; id < v.tokens.size(); ++id)
    if (v.kinds[id] == TokenKind::normal) vocab[v.tokens[id]] = id;
  return {{"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", v.merges}}},
          {"added_tokens",
           {{{"id", 260}, {"content", "<s>"}, {"special", true}},
            {{"id", 261}, {"content", "</s>"}, {"special", true}},
            {{"id", 262}, {"content", "<think>"}, {"special", false}}}},
          {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}},
          {"post_processor", nullptr}};
}

}  // namespace

TEST_CASE("tokenizer.json gives what llama.cpp's converter writes into the GGUF") {
  for (const char* model :
       {"v3-yarn", "v3-fp8-mtp", "v2", "v2-lite", "r1-distill-llama", "r1-distill-qwen2", "qwen3-moe"}) {
    const std::string folder = "models/" + std::string(model),
                      manifest = "gguf/" + std::string(model) + ".manifest.json";
    if (!test::has_golden(folder + "/tokenizer.json") || !test::has_golden(manifest)) continue;
    INFO(std::string(model));
    const json kv = json::parse(test::golden_bytes(manifest))["kv"];
    const auto value = [&](const char* key) { return kv["tokenizer.ggml." + std::string(key)]["value"]; };
    const Vocabulary v = convert::read_hf_vocabulary(test::golden(folder));
    std::vector<int> kinds;
    for (const TokenKind kind : v.kinds) kinds.push_back(static_cast<int>(kind));
    CHECK(v.model == value("model"));
    CHECK(v.pre == value("pre"));
    CHECK(matches(kv, "tokens", v.tokens));
    CHECK(matches(kv, "token_type", kinds));
    CHECK(matches(kv, "merges", v.merges));
    CHECK(v.bos.value() == value("bos_token_id"));
    CHECK(v.eos.value() == value("eos_token_id"));
    CHECK(v.pad.value() == value("padding_token_id"));
    CHECK(v.add_bos == value("add_bos_token"));
    CHECK(v.add_eos == value("add_eos_token"));
    kinds.back() ^= 1;  // the comparison notices one wrong kind
    CHECK_FALSE(matches(kv, "token_type", kinds));
  }
}

TEST_CASE("a GGUF file gives the vocabulary of the checkpoint it was made from") {
  for (const char* model : {"v3-yarn", "r1-distill-llama"}) {
    const std::string file = "gguf/" + std::string(model) + ".gguf", folder = "models/" + std::string(model);
    if (!test::has_golden(file) || !test::has_golden(folder + "/tokenizer.json")) continue;
    const Vocabulary a = read_vocabulary(gguf::Reader(test::golden_path(file)));
    const Vocabulary b = convert::read_hf_vocabulary(test::golden(folder));
    CHECK(a.pre == b.pre);
    CHECK(a.tokens == b.tokens);
    CHECK(a.kinds == b.kinds);
    CHECK(a.merges == b.merges);
    CHECK(a.bos == b.bos);
    CHECK(a.eos == b.eos);
    CHECK(a.pad == b.pad);
    CHECK(a.add_bos == b.add_bos);
  }
}

TEST_CASE("kind 0 and no kinds at all mean normal tokens") {
  const test::ScratchDir folder;
  for (const bool said : {true, false}) {
    const std::string path = folder.file("v.gguf");
    gguf::Writer out(path);
    out.add_text("tokenizer.ggml.model", "gpt2");
    out.add_text("tokenizer.ggml.pre", "llama-bpe");
    out.add_texts("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b", "ab"});
    out.add_texts("tokenizer.ggml.merges", std::vector<std::string>{"a b"});
    if (said) out.add_array<std::int32_t>("tokenizer.ggml.token_type", std::vector<std::int32_t>{0, 1, 3});
    out.begin_data();
    out.commit();
    const std::vector<TokenKind> kinds = read_vocabulary(gguf::Reader(path)).kinds;
    CHECK(kinds ==
          std::vector{TokenKind::normal, TokenKind::normal, said ? TokenKind::control : TokenKind::normal});
  }
}

TEST_CASE("broken vocabularies in GGUF files end in one line that names the key") {
  const std::pair<const char*, const char*> cases[] = {{"m-missing-ggml_model", "tokenizer.ggml.model"},
                                                       {"m-missing-ggml_tokens", "tokenizer.ggml.tokens"},
                                                       {"m-token-type-short", "tokenizer.ggml.token_type"},
                                                       {"m-tokens-empty", "tokenizer.ggml.tokens"},
                                                       {"m-tokens-int", "tokenizer.ggml.tokens"},
                                                       {"m-tokens-dup", "tokenizer.ggml.tokens"},
                                                       {"m-merge-no-space", "tokenizer.ggml.merges"},
                                                       {"m-merge-unknown", "tokenizer.ggml.merges"},
                                                       {"m-bos-out-of-range", "tokenizer.ggml.bos_token_id"}};
  const auto open = [](const char* name) {
    const gguf::Reader file(test::golden_path("malformed/gguf/" + std::string(name) + ".gguf"));
    const Tokenizer tokenizer(read_vocabulary(file));
  };
  if (test::has_golden("malformed/gguf/m-00-ok.gguf")) CHECK_NOTHROW(open("m-00-ok"));
  for (const auto& [name, key] : cases) {
    if (!test::has_golden("malformed/gguf/" + std::string(name) + ".gguf")) continue;
    INFO(std::string(name));
    const std::string message = fault([&] { open(name); });
    CHECK(contains(message, std::string(name) + ".gguf: "));
    CHECK(contains(message, key));
  }
}

TEST_CASE("a vocabulary that does not fit together is refused, and a sound one is not") {
  CHECK(fault_of([](Vocabulary&) {}) == "none");
  CHECK(contains(fault_of([](Vocabulary& v) { v.model = "llama"; }), "tokenizer.ggml.model"));
  CHECK(contains(fault_of([](Vocabulary& v) { v.pre = "nosuch"; }), "expected one of deepseek-v3"));
  CHECK(contains(fault_of([](Vocabulary& v) { v.tokens.clear(); }), "tokenizer.ggml.tokens"));
  CHECK(contains(fault_of([](Vocabulary& v) { v.kinds.pop_back(); }), "tokenizer.ggml.token_type"));
  CHECK(contains(fault_of([](Vocabulary& v) { v.tokens[258] = "in"; }), "token 258"));
  CHECK(contains(fault_of([](Vocabulary& v) { v.tokens[262] = ""; }), "token 262"));
  CHECK(contains(fault_of([](Vocabulary& v) { v.tokens['a'] = "aa"; }), "no normal token for byte 97"));
  CHECK(contains(fault_of([](Vocabulary& v) { v.kinds['a'] = TokenKind::control; }), "byte 97"));
  CHECK(fault_of([](Vocabulary& v) { v.tokens[0xff] = "aa"; }) == "none");  // no UTF-8 contains this byte
  for (const char* merge : {"", " ", "in", " in", "in ", "i n g", "i  n", "i nn"})
    CHECK(contains(fault_of([&](Vocabulary& v) { v.merges[1] = merge; }), "merge 1:"));
  CHECK(contains(fault_of([](Vocabulary& v) { v.merges.emplace_back("i i"); }), "merge 4:"));
  CHECK(contains(fault_of([](Vocabulary& v) { v.kinds[256] = TokenKind::control; }), "makes token 256"));
  CHECK(contains(fault_of([](Vocabulary& v) { v.bos = 263; }), "bos_token_id"));
  CHECK(contains(fault_of([](Vocabulary& v) { v.eos = -1; }), "eos_token_id"));
}

TEST_CASE("a tokenizer.json is read alone, with its neighbours, and in the newer form of merges") {
  json t = small_tokenizer_json();
  const auto parse = [&](const convert::HfTokenizerTexts& texts) {
    return convert::parse_hf_vocabulary(texts, "t");
  };
  const Vocabulary alone = parse({t.dump(), {}, {}});
  CHECK(alone.pre == "gpt-2");
  CHECK(alone.tokens == small_vocabulary().tokens);
  CHECK(alone.kinds == small_vocabulary().kinds);
  CHECK(alone.merges == small_vocabulary().merges);
  CHECK_FALSE(alone.bos.has_value());

  t["model"]["merges"] = json::array({{"i", "n"}, {"in", "g"}, {" ", "in"}, {"\u0120", "a"}});
  const std::string config =
      R"({"bos_token": {"content": "<s>"}, "eos_token": "</s>", "add_bos_token": true})";
  const Vocabulary both = parse({t.dump(), config, R"({"vocab_size": 265, "pad_token_id": 262})"});
  CHECK(both.merges == small_vocabulary().merges);
  CHECK(both.bos == 260);
  CHECK(both.eos == 261);
  CHECK(both.pad == 262);
  CHECK(both.add_bos);
  CHECK_FALSE(both.add_eos);
  CHECK(both.tokens.size() == 265);
  CHECK(both.tokens[264] == "[PAD264]");
  CHECK(both.kinds[264] == TokenKind::unused);

  const test::ScratchDir folder;
  for (const auto& [name, text] : {std::pair{"tokenizer.json", t.dump()}, {"tokenizer_config.json", config}})
    test::write_file(folder.file(name), std::as_bytes(std::span(text)));
  CHECK(convert::read_hf_vocabulary(folder.file("tokenizer.json")).bos == 260);
  CHECK(convert::read_hf_vocabulary(folder.file("")).eos == 261);
}

TEST_CASE("a post-processor decides over BOS, as with llama.cpp's converter") {
  json t = small_tokenizer_json();
  const std::string config = R"({"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": true})";
  const auto adds_bos = [&] { return convert::parse_hf_vocabulary({t.dump(), config, {}}, "t").add_bos; };
  CHECK(adds_bos());
  t["post_processor"] = {{"type", "ByteLevel"}};
  CHECK_FALSE(adds_bos());
  json part = {{"SpecialToken", {{"id", "<s>"}}}}, sequence = {{"Sequence", {{"id", "A"}}}};
  t["post_processor"] = {
      {"type", "Sequence"},
      {"processors",
       {{{"type", "ByteLevel"}}, {{"type", "TemplateProcessing"}, {"single", {part, sequence}}}}}};
  CHECK(adds_bos());
  part["SpecialToken"]["id"] = "</s>";
  t["post_processor"]["processors"][1]["single"] = {part, sequence};
  CHECK_FALSE(adds_bos());
}

TEST_CASE("Qwen2's rules under DeepSeek's special tokens are those of its distilled models") {
  json t = small_tokenizer_json();
  const auto pre = [&] { return convert::parse_hf_vocabulary({t.dump(), {}, {}}, "t").pre; };
  const json split = {{"type", "Split"},
                      {"pattern", {{"Regex", std::string(find_pre_tokenizer("qwen2")->steps[0])}}},
                      {"behavior", "Isolated"},
                      {"invert", false}};
  t["pre_tokenizer"] = {
      {"type", "Sequence"},
      {"pretokenizers", {split, {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}};
  CHECK(pre() == "qwen2");
  t["added_tokens"].push_back({{"id", 263},
                               {"content",
                                "<\uff5c"
                                "begin\u2581of\u2581sentence\uff5c>"},
                               {"special", true}});
  CHECK(pre() == "deepseek-r1-qwen");
  t["pre_tokenizer"]["pretokenizers"][0]["behavior"] = "Removed";
  CHECK(contains(fault([&] { pre(); }), "pre_tokenizer"));
}

TEST_CASE("a broken tokenizer.json ends in one line") {
  const auto fault_after = [](const std::function<void(json&)>& change) {
    json t = small_tokenizer_json();
    change(t);
    return fault([&] { convert::parse_hf_vocabulary({t.dump(), {}, {}}, "t"); });
  };
  CHECK(fault_after([](json&) {}) == "none");
  CHECK(contains(fault_after([](json& t) { t["model"]["type"] = "Unigram"; }), "model.type"));
  CHECK(contains(fault_after([](json& t) { t["model"]["vocab"] = 7; }), "model.vocab"));
  CHECK(contains(fault_after([](json& t) { t["model"]["vocab"]["a"] = 1 << 20; }), "model.vocab"));
  CHECK(contains(fault_after([](json& t) { t["model"]["vocab"]["a"] = -1; }), "model.vocab"));
  CHECK(contains(fault_after([](json& t) { t["model"]["vocab"]["a"] = 98; }), "two tokens"));
  CHECK(contains(fault_after([](json& t) { t["model"]["vocab"]["a"] = "97"; }), "model.vocab"));
  CHECK(contains(fault_after([](json& t) { t["model"]["merges"] = {{"a", 1}}; }), "model.merges"));
  CHECK(contains(fault_after([](json& t) { t["model"]["merges"] = nullptr; }), "model.merges"));
  CHECK(contains(fault_after([](json& t) { t["model"]["ignore_merges"] = true; }), "ignore_merges"));
  CHECK(contains(fault_after([](json& t) { t["added_tokens"][0]["id"] = 97; }), "added_tokens"));
  CHECK(contains(fault_after([](json& t) { t["added_tokens"][0].erase("content"); }), "added_tokens"));
  CHECK(contains(fault_after([](json& t) { t["added_tokens"] = "x"; }), "added_tokens"));
  CHECK(contains(fault_after([](json& t) { t["pre_tokenizer"] = nullptr; }), "pre_tokenizer"));
  CHECK(
      contains(fault_after([](json& t) { t["pre_tokenizer"]["add_prefix_space"] = true; }), "pre_tokenizer"));
  CHECK(contains(fault([] { convert::parse_hf_vocabulary({"{", {}, {}}, "t"); }), "t: byte"));
  CHECK(contains(fault([] {
                   convert::parse_hf_vocabulary({std::string(40, '[') + std::string(40, ']'), {}, {}}, "t");
                 }),
                 "32"));
  CHECK(
      contains(fault([] { convert::read_hf_vocabulary("/nonexistent/tokenizer.json"); }), "tokenizer.json"));
  const json sound = small_tokenizer_json();
  CHECK(contains(fault([&] {
                   convert::parse_hf_vocabulary({sound.dump(), {}, R"({"vocab_size": 7})"}, "t");
                 }),
                 "vocab_size"));
}

}  // namespace coterie::text
