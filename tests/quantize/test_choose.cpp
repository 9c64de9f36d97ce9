// quantize/choose.h: the mixes choose what llama.cpp's quantizer chooses, on the golden models and on models of many
// shapes (mix_choices.json, written by make_mix_choices.py).
#include "quantize/choose.h"

#include "base/errors.h"
#include "base/json.h"
#include "tests/support/golden.h"

#include <doctest/doctest.h>

#include <cstdio>
#include <filesystem>
#include <list>
#include <map>
#include <set>
#include <sstream>

namespace coterie::quantize {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr JsonLimits limits{16 << 20, 16};

Json read(const std::string& path) { return read_json(path, limits); }

// Tensors by name, with the memory that their names need.
struct Model {
  ModelFacts facts;
  std::list<std::string> names;
  std::vector<Candidate> tensors;

  void add(const std::string& name, const std::vector<std::int64_t>& shape, const char* format) {
    Candidate t{names.emplace_back(name), {1, 1, 1, 1}, static_cast<int>(shape.size()), find_format(format)};
    std::copy(shape.begin(), shape.end(), t.shape.begin());
    tensors.push_back(t);
  }
  std::map<std::string, std::string> choose(const Wish& wish) const {
    std::map<std::string, std::string> types;
    const std::vector<Choice> choices = choose_formats(facts, tensors, wish);
    for (std::size_t i = 0; i < tensors.size(); ++i)
      types[std::string(tensors[i].name)] = choices[i].format->name;
    return types;
  }
};

Wish wish(const std::string& type, bool importance = false, bool pure = false) {
  return {.type = find_type(type, pure), .recipe = nullptr, .pure = pure, .importance = importance};
}

std::int64_t key(const Json& manifest, const std::string& name, std::int64_t fallback) {
  return manifest["kv"].contains(name) ? manifest["kv"][name]["value"].get<std::int64_t>() : fallback;
}

Model golden_model(const std::string& name) {
  const Json m = read(test::golden("gguf/" + name + ".manifest.json"));
  Model model;
  const std::string a = m["kv"]["general.architecture"]["value"];
  model.facts = {
      a, static_cast<int>(key(m, a + ".block_count", 0)), static_cast<int>(key(m, a + ".expert_count", 0)),
      static_cast<int>(key(m, a + ".attention.head_count", 0) / key(m, a + ".attention.head_count_kv", 1))};
  for (const Json& t : m["tensors"]) model.add(t["name"], t["ne"], t["type"].get<std::string>().c_str());
  return model;
}

// "Q6_K*2 Q4_K*3", one per layer; or one type for all.
std::vector<std::string> unpack(const std::string& text, std::size_t layers) {
  std::vector<std::string> types;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    const std::size_t star = word.find('*');
    types.insert(types.end(), star == std::string::npos ? layers : std::stoul(word.substr(star + 1)),
                 word.substr(0, star));
  }
  return types;
}

// The first tensor that gets another type than expected.
std::string difference(const std::map<std::string, std::string>& found,
                       const std::map<std::string, std::string>& expected) {
  for (const auto& [name, type] : expected)
    if (found.at(name) != type) return name + ": " + found.at(name) + ", expected " + type;
  return found.size() == expected.size() ? "" : "other tensors";
}

struct ShapedModel : Model {
  Json json;

  explicit ShapedModel(const Json& j) : json(j) {
    facts = {j["architecture"], j["layers"], j["experts"], j["heads"].get<int>() / j["key_heads"].get<int>()};
    add("token_embd.weight", {256, 256}, "F16");
    if (!j["tied"]) add("output.weight", {256, 256}, "F16");
    for (const auto& [kind, where] : j["kinds"].items())
      for (int i = where["layers"][0]; i < where["layers"][1]; ++i)
        add("blk." + std::to_string(i) + "." + kind, where["shape"], "F16");
  }

  std::map<std::string, std::string> expected(const Json& mix) const {
    std::map<std::string, std::string> types;
    const auto of = [&](const std::string& kind) {
      return (mix.contains(kind) ? mix[kind] : mix["rest"]).get<std::string>();
    };
    types["token_embd.weight"] = of("token_embd.weight");
    if (!json["tied"]) types["output.weight"] = of("output.weight");
    for (const auto& [kind, where] : json["kinds"].items()) {
      const int first = where["layers"][0], end = where["layers"][1];
      const std::vector<std::string> row = unpack(of(kind), static_cast<std::size_t>(end - first));
      REQUIRE(row.size() == static_cast<std::size_t>(end - first));
      for (int i = first; i < end; ++i)
        types["blk." + std::to_string(i) + "." + kind] = row[static_cast<std::size_t>(i - first)];
    }
    return types;
  }
};

std::string refusal(const std::string& type) {
  try {
    find_type(type, false);
  } catch (const UsageError& e) {
    return e.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("on the golden models every mix chooses as llama.cpp does") {
  const std::string folder = test::golden("gguf/quantized-manifests");
  if (!test::full_golden() && !fs::exists(folder)) {
    std::printf("skipped: the compact golden set has no gguf/quantized-manifests\n");
    return;
  }
  int checked = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().stem(), model_name = name.substr(0, name.find('.'));
    const std::string mix = name.substr(name.find('.') + 1);
    INFO(name);
    const Model model = golden_model(model_name);
    const Json manifest = read(entry.path());
    std::map<std::string, std::string> expected;
    for (const Json& t : manifest["tensors"]) expected[t["name"]] = t["type"];
    CHECK(difference(model.choose(wish(mix)), expected) == "");
    CHECK(find_type(mix, false).file_type() == key(manifest, "general.file_type", -1));
    ++checked;
  }
  CHECK(checked == 55);
}

TEST_CASE("on models of many shapes every mix chooses as llama.cpp does") {
  const Json all = read(COTERIE_SOURCE_DIR "/tests/quantize/mix_choices.json");
  std::set<std::string> seen;
  for (const auto& [name, json] : all.items()) {
    const ShapedModel model(json);
    for (const auto& [mix, types] : json["mixes"].items()) {
      const std::string plain = mix.substr(0, mix.find('+'));
      const std::string subject = name + " " + mix;
      INFO(subject);
      const auto expected = model.expected(types);
      const bool weighted = mix != plain;
      CHECK(difference(model.choose(wish(plain, weighted)), expected) == "");
      // Where an importance matrix makes no difference there is no second entry.
      if (!json["mixes"].contains(plain + "+imatrix"))
        CHECK(difference(model.choose(wish(plain, true)), expected) == "");
      seen.insert(plain);
    }
  }
  CHECK(all.size() == 9);
  CHECK(seen.size() == mixes().size());
}

TEST_CASE("the comparison above notices one tensor of another type") {
  const Json all = read(COTERIE_SOURCE_DIR "/tests/quantize/mix_choices.json");
  const ShapedModel model(all["mixtral"]);
  auto expected = model.expected(all["mixtral"]["mixes"]["Q4_K_M"]);
  expected["blk.17.ffn_down_exps.weight"] = "Q2_K";
  CHECK(difference(model.choose(wish("Q4_K_M")), expected) ==
        "blk.17.ffn_down_exps.weight: Q4_K, expected Q2_K");
}

TEST_CASE("a name that is a type and a mix means the mix, or the type with pure") {
  CHECK(find_type("q2_k", false).mix != nullptr);
  CHECK(find_type("Q2_K", true).mix == nullptr);
  CHECK(find_type("Q2_K", true).plain == find_format("Q2_K"));
  CHECK(find_type("Q4_K", false).plain == find_format("Q4_K"));
  CHECK(find_type("Q4_K_M", true).plain == find_format("Q4_K"));
  CHECK(find_type("IQ2_M", true).plain == find_format("IQ2_S"));
  CHECK(find_type("BF16", false).file_type() == 32);
  CHECK(find_type("Q4_K", false).file_type() == 14);
  CHECK(find_type("MXFP4", false).file_type() == 38);
  CHECK(refusal("Q4_X").starts_with("--type: found 'Q4_X', expected one of Q4_0, "));
  CHECK(refusal("I32").starts_with("--type: found 'I32'"));
}

TEST_CASE("a type goes to the matrices, pure to everything of two dimensions") {
  Model model;
  model.facts = {"deepseek2", 4, 16, 1};
  model.add("token_embd.weight", {256, 512}, "BF16");
  model.add("output.weight", {256, 512}, "BF16");
  model.add("blk.0.attn_norm.weight", {256}, "F32");
  model.add("blk.1.ffn_gate_inp.weight", {256, 16}, "F32");
  model.add("blk.1.ffn_down_exps.weight", {96, 256, 16}, "BF16");
  model.add("blk.1.ids", {256, 2}, "I32");
  auto types = model.choose(wish("Q4_K"));
  CHECK(types["output.weight"] == "Q4_K");
  CHECK(types["blk.0.attn_norm.weight"] == "F32");
  CHECK(types["blk.1.ffn_gate_inp.weight"] == "F32");
  CHECK(types["blk.1.ffn_down_exps.weight"] == "Q5_0");
  CHECK(types["blk.1.ids"] == "I32");
  CHECK(model.choose(wish("Q4_K_M"))["output.weight"] == "Q6_K");

  types = model.choose(wish("Q4_K_M", false, true));
  CHECK(types["output.weight"] == "Q4_K");
  CHECK(types["blk.0.attn_norm.weight"] == "F32");
  CHECK(types["blk.1.ffn_gate_inp.weight"] == "Q4_K");
  CHECK(types["blk.1.ids"] == "I32");
}

TEST_CASE("an unknown architecture gets the plain type on every matrix") {
  Model model;
  for (const char* architecture : {"", "no-such"}) {
    model = {};
    model.facts.architecture = architecture;
    model.add("x", {512, 6}, "F32");
    model.add("some.norm.weight", {256, 256}, "F16");
    model.add("output.weight", {256, 256}, "F16");
    model.add("blk.0.ffn_down.weight", {100, 256}, "F16");
    model.add("bias", {256}, "F32");
    const auto types = model.choose(wish("Q3_K_M"));
    CHECK(types.at("x") == "Q3_K");
    CHECK(types.at("some.norm.weight") == "Q3_K");
    CHECK(types.at("output.weight") == "Q3_K");
    CHECK(types.at("blk.0.ffn_down.weight") == "F16");
    CHECK(types.at("bias") == "F32");
  }
}

TEST_CASE("a recipe goes before the type; without one the rest stays") {
  Model model;
  model.facts = {"llama", 2, 0, 1};
  model.add("output.weight", {256, 512}, "BF16");
  model.add("blk.0.ffn_up.weight", {256, 256}, "BF16");
  model.add("blk.1.ffn_up.weight", {256, 256}, "BF16");
  model.add("blk.1.ffn_norm.weight", {256}, "F32");
  const Recipe recipe = parse_recipe("blk.0.* = Q2_K\nblk.*norm* = Q8_0\n", "recipe");
  Wish w{.type = {}, .recipe = &recipe, .pure = false, .importance = false};
  auto types = model.choose(w);
  CHECK(types["output.weight"] == "BF16");
  CHECK(types["blk.0.ffn_up.weight"] == "Q2_K");
  CHECK(types["blk.1.ffn_up.weight"] == "BF16");
  CHECK(types["blk.1.ffn_norm.weight"] == "F32");
  w.type = find_type("Q4_K_M", false);
  types = model.choose(w);
  CHECK(types["output.weight"] == "Q6_K");
  CHECK(types["blk.0.ffn_up.weight"] == "Q2_K");
  CHECK(types["blk.1.ffn_up.weight"] == "Q4_K");
}

}  // namespace coterie::quantize
