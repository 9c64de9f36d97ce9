// What a DeepSeek file's keys mean where no golden model shows it: keys that older writers left out, groups of the releases,
// layers that are not run, limits.
#include "models/deepseek/config.h"

#include "base/errors.h"
#include "gguf/writer.h"
#include "tests/support/scratch_dir.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <map>
#include <span>
#include <string>

namespace coterie::test {

namespace {

using Integers = std::map<std::string, std::uint32_t>;

// The keys that every file has, those given, and one router bias where wanted.
deepseek::Config config_of(const Integers& more, bool bias = false, float scale = 2.5F) {
  const ScratchDir folder;
  Integers keys{{"context_length", 4096},
                {"embedding_length", 64},
                {"block_count", 3},
                {"feed_forward_length", 64},
                {"expert_feed_forward_length", 32},
                {"attention.head_count", 4},
                {"attention.kv_lora_rank", 32},
                {"rope.dimension_count", 16},
                {"attention.key_length_mla", 64},
                {"attention.value_length_mla", 32},
                {"expert_count", 8},
                {"expert_used_count", 2}};
  for (const auto& [key, value] : more) keys[key] = value;
  const std::string path = folder.file("config.gguf");
  gguf::Writer out(path);
  for (const auto& [key, value] : keys) out.add<std::uint32_t>("deepseek2." + key, value);
  out.add<float>("deepseek2.attention.layer_norm_rms_epsilon", 1e-6F);
  out.add<float>("deepseek2.expert_weights_scale", scale);
  const float zero[8] = {};
  const std::int64_t shape[] = {8};
  if (bias) out.add_tensor("blk.1.exp_probs_b.bias", shape, *find_format("F32"));
  out.begin_data();
  if (bias) out.write(0, 0, std::as_bytes(std::span(zero)));
  out.commit();
  return deepseek::read_config(gguf::Reader(path));
}

}  // namespace

TEST_CASE("files without group keys have the groups of the release that they are, others none") {
  const Routing v3 =
      config_of({{"block_count", 61}, {"expert_count", 256}, {"expert_used_count", 8}}).routing;
  CHECK(v3.n_groups == 8);
  CHECK(v3.n_groups_used == 4);
  const Routing v2 =
      config_of({{"block_count", 60}, {"expert_count", 160}, {"expert_used_count", 6}}).routing;
  CHECK(v2.n_groups == 8);
  CHECK(v2.n_groups_used == 3);
  const Routing other =
      config_of({{"block_count", 59}, {"expert_count", 160}, {"expert_used_count", 6}}).routing;
  CHECK(other.n_groups == 1);
  CHECK(other.n_groups_used == 1);
}

TEST_CASE("groups that cannot give the experts wanted are refused, those that just can are not") {
  CHECK_THROWS_AS(config_of({{"expert_group_count", 3}}), ModelError);
  CHECK_THROWS_AS(config_of({{"expert_group_count", 8}, {"expert_group_used_count", 1}}), ModelError);
  CHECK_THROWS_AS(config_of({{"expert_group_count", 4}, {"expert_group_used_count", 0}}), ModelError);
  CHECK(config_of({{"expert_group_count", 8}, {"expert_group_used_count", 2}}).routing.n_groups_used == 2);
}

TEST_CASE("without a gating key a router with a bias is a normalised sigmoid, one without a plain softmax") {
  const Routing biased = config_of({}, true).routing;
  CHECK(biased.gating == Gating::sigmoid);
  CHECK(biased.normalize);
  const Routing plain = config_of({}).routing;
  CHECK(plain.gating == Gating::softmax);
  CHECK_FALSE(plain.normalize);
  CHECK_FALSE(config_of({{"expert_gating_func", 2}}, true).routing.normalize);
}

TEST_CASE("a weight scale of zero means none, and layers that predict further tokens are not run") {
  CHECK(config_of({}).routing.scale == 2.5F);
  CHECK(config_of({}, false, 0.0F).routing.scale == 1.0F);
  CHECK(config_of({{"nextn_predict_layers", 1}}).n_layers == 2);
  CHECK_THROWS_AS(config_of({{"nextn_predict_layers", 3}}), ModelError);
}

}  // namespace coterie::test
