// What goes out: every key and every tensor of the files to be written, in order, decided and checked before
// any work starts.
#pragma once

#include "convert/hf_config.h"
#include "convert/keys.h"
#include "convert/rows.h"
#include "convert/safetensors.h"
#include "formats/formats.h"
#include "models/vocabulary.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace coterie::convert {

// --type: the format of the matrices, and the number that general.file_type gives it.
struct FileType {
  const char* name;
  std::uint32_t number;
};
std::span<const FileType> file_types();
const FileType* find_file_type(const std::string& name);  // case-insensitive; nullptr: not known

struct PlannedTensor {
  std::string name;
  std::vector<std::int64_t> shape;  // ne0 first
  const FormatInfo* format = nullptr;
  SourceTensor source;

  std::int64_t rows() const;
};

struct FilePlan {
  Keys keys;
  std::vector<PlannedTensor> tensors;
};

struct Plan {
  FilePlan model;
  std::optional<FilePlan> mtp;     // the multi-token-prediction layers, where the checkpoint has them
  std::vector<std::string> notes;  // one line each, for the user
};

// The checkpoint against the configuration: every expected tensor is there in its shape and of a float type,
// and none is there that has no place. Throws ModelError naming the first one. True where the
// multi-token-prediction layers are there.
bool check_tensors(const HfConfig& config, const SafeTensors& checkpoint);

// The tensors of all files in order: as the checkpoint has them, shard by shard and by name, a layer's
// experts where the last of them stands. Checks first.
Plan plan_tensors(const HfConfig& config, const SafeTensors& checkpoint, const FileType& type);

// Tensors and keys.
Plan make_plan(const std::string& folder, const SafeTensors& checkpoint, const FileType& type);

}  // namespace coterie::convert
