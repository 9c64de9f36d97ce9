// The golden models and what the reference implementations computed with them.
#pragma once

#include "convert/safetensors.h"
#include "engine/engine.h"
#include "tests/support/scratch_dir.h"

#include <nlohmann/json.hpp>

#include <memory>
#include <string>
#include <vector>

namespace coterie::test {

struct Reference {
  explicit Reference(const std::string& model);  // "v3-yarn", ...

  std::string model;
  nlohmann::ordered_json outputs;  // <model>.json: prompts, greedy
  convert::SafeTensors tensors;    // <model>.safetensors

  std::vector<Token> prompt(const std::string& name) const;
  std::vector<float> floats(const std::string& key) const;
  std::vector<int> integers(const std::string& key) const;
  bool has(const std::string& key) const { return tensors.find(key) != nullptr; }
};

// The checkpoint converted to one GGUF file of the given type; the file lives as long as the program.
std::string converted(const std::string& model, const std::string& type);

EngineOptions exact_options();  // F32 cache, 2 threads

// Largest absolute difference.
double distance(std::span<const float> a, std::span<const float> b);

// Logits of every token: [n, vocabulary].
std::vector<float> all_logits(const Engine& engine, std::span<const Token> tokens, Role role,
                              std::vector<RouteRecord>* routes = nullptr);

}  // namespace coterie::test
