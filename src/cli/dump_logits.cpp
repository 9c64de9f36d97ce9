// coterie dump logits and coterie dump routes: what the model computes for given ids, for comparison with
// others.
#include "base/errors.h"
#include "cli/command.h"
#include "cli/files.h"
#include "cli/model_args.h"
#include "cli/npy.h"
#include "engine/engine.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

namespace coterie::cli {

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* ids_help = "a JSON array of token ids; - is standard input (required)";

Role role_of(Args& args) {
  const std::string role =
      args.choice("--role ROLE", {"prompt", "decode"}, "arithmetic of given or of produced tokens");
  return role == "prompt" ? Role::prompt : Role::decode;
}

// Whether the ids are within the vocabulary is the session's check.
std::vector<Token> read_ids(const std::string& file) {
  const std::string subject = file == "-" ? "standard input" : file;
  std::vector<Token> ids = token_ids(read_json(file), std::size_t{1} << 31, subject);
  if (ids.empty()) throw UsageError(subject + ": found no ids, expected at least one");
  return ids;
}

// The ids decide how much context there must be, unless --ctx does.
EngineOptions fitting(EngineOptions options, const std::vector<Token>& ids) {
  if (options.context == 0) options.context = static_cast<std::int64_t>(ids.size());
  return options;
}

int dump_logits(Args& args) {
  const std::string model = args.positional("MODEL", "a GGUF file");
  const std::string ids_file = args.option("--ids FILE", "", ids_help);
  const std::string out = args.option("--out X.npy", "", "where to write float32 [n, vocabulary] (required)");
  const Role role = role_of(args);
  const EngineOptions options = engine_options(args, CacheType::f32);
  args.finish();
  if (ids_file.empty() || out.empty())
    throw UsageError("dump logits: --ids FILE and --out X.npy are required");

  const std::vector<Token> ids = read_ids(ids_file);
  const Engine engine(model, fitting(options, ids));
  Session session(engine);
  NpyFile npy(out, {static_cast<std::int64_t>(ids.size()), engine.n_vocab()}, model);
  session.feed_all(ids, role, [&](std::int64_t, std::span<const float> logits) { npy.append(logits); });
  npy.commit();
  return 0;
}

int dump_routes(Args& args) {
  const std::string model = args.positional("MODEL", "a GGUF file");
  const std::string ids_file = args.option("--ids FILE", "", ids_help);
  const Role role = role_of(args);
  const EngineOptions options = engine_options(args, CacheType::f32);
  args.finish();
  if (ids_file.empty()) throw UsageError("dump routes: --ids FILE is required");

  const std::vector<Token> ids = read_ids(ids_file);
  const Engine engine(model, fitting(options, ids));
  Session session(engine);
  std::vector<RouteRecord> records;
  session.record_routes(&records);
  session.feed(ids, role);

  // One record per layer and step; a layer's steps are put together.
  Json layers = Json::array();
  for (const RouteRecord& r : records) {
    auto layer = std::ranges::find_if(layers, [&](const Json& l) { return l["layer"] == r.layer; });
    if (layer == layers.end()) {
      layers.push_back({{"layer", r.layer}, {"ids", Json::array()}, {"weights", Json::array()}});
      layer = std::prev(layers.end());
    }
    for (const std::vector<int>& chosen : r.ids) (*layer)["ids"].push_back(chosen);
    for (const std::vector<float>& weights : r.weights) (*layer)["weights"].push_back(weights);
  }
  std::printf("%s\n", Json{{"layers", layers}}.dump().c_str());
  return 0;
}

}  // namespace

const Command dump_logits_command{
    "dump logits", "logits of every position, as a NumPy file", dump_logits,
    "coterie dump logits model.gguf --ids ids.json --out logits.npy\n"
    "coterie dump logits model.gguf --ids ids.json --out logits.npy --role decode"};
const Command dump_routes_command{"dump routes", "experts and weights of every token, in rank order, as JSON",
                                  dump_routes, "coterie dump routes model.gguf --ids ids.json"};

}  // namespace coterie::cli
