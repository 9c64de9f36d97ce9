// The architectures that the converter knows. To add one: its fields in hf_config.cpp, its tensors in
// names.cpp, its keys in keys.cpp, and a line in architecture.cpp.
#pragma once

#include "convert/hf_config.h"
#include "convert/keys.h"
#include "convert/names.h"

#include <span>
#include <string>

namespace coterie::convert {

struct Architecture {
  const char* hf_class;                  // in "architectures" of config.json
  const char* gguf_name;                 // general.architecture, and the prefix of the model's keys
  const char* selection;                 // topk_method where config.json does not say
  bool states_head_size;                 // attention.key_length and value_length are written
  std::span<const IntegerField> fields;  // beside the common ones
  std::span<const TensorRule> tensors;
  void (*keys)(const HfConfig& config, Keys& keys);  // beside the common ones
};

std::span<const Architecture> architectures();
const Architecture* find_architecture(const std::string& hf_class);  // nullptr: not known

}  // namespace coterie::convert
