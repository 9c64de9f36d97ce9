// The keys of a GGUF file, named, typed and ordered as llama.cpp's converter writes them.
// Rules learnt from: https://github.com/ggml-org/llama.cpp, conversion/ and gguf-py/gguf/metadata.py. A model
// card (README.md) is not read.
#pragma once

#include "convert/hf_config.h"
#include "convert/model_name.h"
#include "gguf/writer.h"
#include "models/vocabulary.h"

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace coterie::convert {

using KeyValue = std::variant<std::uint32_t, std::int32_t, float, bool, std::string, std::vector<std::string>,
                              std::vector<std::int32_t>>;
using Keys = std::vector<std::pair<std::string, KeyValue>>;

// Writes the keys in order.
void write_keys(const Keys& keys, gguf::Writer& file);

struct KeySources {
  const HfConfig& config;
  std::string folder;
  ParameterCount parameters;
  std::uint32_t file_type;  // general.file_type
  bool mtp;                 // the file has the multi-token-prediction layers
};

// Everything but the tokenizer.
Keys model_keys(const KeySources& sources);

// Of these, the sizes and rules of the architecture: what a runtime needs.
void add_architecture_keys(const HfConfig& config, std::uint32_t file_type, bool mtp, Keys& keys);

// Throws ModelError where tokens and rows of the embedding differ in number.
void add_tokenizer_keys(const HfConfig& config, Vocabulary vocabulary, Keys& keys);

// tokenizer.chat_template, if tokenizer_config.json, chat_template.jinja or chat_template.json has one.
void add_template_key(const std::string& folder, Keys& keys);

// What single architectures add after the common keys.
void add_deepseek_keys(const HfConfig& config, Keys& keys);
void add_llama_keys(const HfConfig& config, Keys& keys);
void add_qwen2_keys(const HfConfig& config, Keys& keys);
void add_qwen3_moe_keys(const HfConfig& config, Keys& keys);

}  // namespace coterie::convert
