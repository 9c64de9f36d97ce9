#include "tests/models/reference.h"

#include "base/json.h"
#include "convert/convert.h"
#include "tests/support/golden.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

namespace coterie::test {

Reference::Reference(const std::string& name)
    : model(name),
      outputs(read_json(golden("outputs/" + name + ".json"), {.max_bytes = 16 << 20, .max_depth = 64})),
      tensors(golden("outputs/" + name + ".safetensors")) {}

std::vector<Token> Reference::prompt(const std::string& name) const {
  return outputs.at("prompts").at(name).get<std::vector<Token>>();
}

std::vector<float> Reference::floats(const std::string& key) const {
  return convert::to_float(tensors.get(key));
}

std::vector<int> Reference::integers(const std::string& key) const {
  const convert::SafeTensor& t = tensors.get(key);
  std::vector<int> values(t.bytes.size() / sizeof(int));
  std::memcpy(values.data(), t.bytes.data(), t.bytes.size());
  return values;
}

std::string converted(const std::string& model, const std::string& type) {
  static const ScratchDir folder;
  static std::map<std::string, bool> done;
  const std::string path = folder.file(model + "." + type + ".gguf");
  if (!std::exchange(done[path], true)) {
    convert::ConvertOptions options;
    options.from = golden("models/" + model);
    options.to = path;
    options.types = convert::one_type(*find_format(std::string_view(type)));
    convert::convert(options);
  }
  return path;
}

EngineOptions exact_options() {
  EngineOptions options;
  options.threads = 2;
  options.cache = CacheType::f32;
  options.context = 1024;
  return options;
}

double distance(std::span<const float> a, std::span<const float> b) {
  double largest = a.size() == b.size() ? 0 : INFINITY;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const double d = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    largest = d <= largest ? largest : d;  // a NaN wins
  }
  return largest;
}

std::vector<float> all_logits(const Engine& engine, std::span<const Token> tokens, Role role,
                              std::vector<RouteRecord>* routes) {
  Session session(engine);
  session.record_routes(routes);
  std::vector<float> logits;
  session.feed_all(tokens, role, [&](std::int64_t, std::span<const float> row) {
    logits.insert(logits.end(), row.begin(), row.end());
  });
  return logits;
}

}  // namespace coterie::test
