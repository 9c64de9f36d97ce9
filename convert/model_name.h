// general.name and its kin: what a folder's name ("DeepSeek-R1-Distill-Llama-8B") says about the model, by
// the rules of gguf-py/gguf/metadata.py, and the size label ("256x20B").
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace coterie::convert {

struct ParameterCount {
  std::int64_t total = 0;
  std::int64_t shared = 0;      // outside the experts
  std::int64_t per_expert = 0;  // of one expert in all layers
  std::int64_t experts = 0;     // per layer
};

struct ModelName {
  std::string name;
  std::optional<std::string> organization, basename, finetune, version, size_label;
};

// "Org/Some-Name-8B-Chat" taken apart; total parameters tell a size from a context length.
ModelName parse_model_id(const std::string& id, std::int64_t total);

// name_or_path of config.json where it is a model's id, else and for what it leaves open the folder's name.
ModelName name_of_model(const std::string& name_or_path, const std::string& folder, std::int64_t total);

std::string size_label(const ParameterCount& count);

}  // namespace coterie::convert
