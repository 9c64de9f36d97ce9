// What goes out: every key and every tensor of the files to be written, in order, decided and checked before
// any work starts.
#pragma once

#include "convert/hf_config.h"
#include "convert/keys.h"
#include "convert/rows.h"
#include "convert/safetensors.h"
#include "formats/formats.h"
#include "gguf/journal.h"
#include "models/vocabulary.h"
#include "quantize/choose.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace coterie::convert {

struct PlannedTensor {
  std::string name;
  std::vector<std::int64_t> shape;  // ne0 first
  const FormatInfo* format = nullptr;
  bool exact = false;  // F32 whatever the type: vectors, norms, the router, and what is no weight
  SourceTensor source;

  std::int64_t rows() const;
  std::uint64_t bytes() const;
};

// Which format the matrices get.
struct TypeChoice {
  gguf::Facts facts;  // what the user asked for: a journal goes on under the same facts only
  std::optional<std::uint32_t> file_type;  // general.file_type; none: as of the format that most weights have
  // One format per tensor of a file, all asked for at once, since mixes count them. `format` is what the checkpoint has; the
  // answer for an exact tensor is not used, and rows that do not fit fall back (quantize/fallback.h).
  std::function<std::vector<const FormatInfo*>(const HfConfig&, std::span<const PlannedTensor>)> formats;
};
TypeChoice one_type(const FormatInfo& format);                       // of every matrix
TypeChoice types_of(const quantize::Wish& wish, gguf::Facts facts);  // as `coterie quantize` chooses

struct FilePlan {
  Keys keys;
  std::vector<PlannedTensor> tensors;
};

struct Plan {
  FilePlan model;
  bool inline_mtp = false;         // the model's file has the multi-token-prediction layers
  std::optional<FilePlan> mtp;     // the multi-token-prediction layers, where they get a file
  std::vector<std::string> notes;  // one line each, for the user
};

// The checkpoint against the configuration: every expected tensor is there in its shape and of a float type,
// and none is there that has no place. Throws ModelError naming the first one. True where the
// multi-token-prediction layers are there.
bool check_tensors(const HfConfig& config, const SafeTensors& checkpoint);

// Where the multi-token-prediction layers go: to a file of their own, to the model's (which newer llama.cpp reads), nowhere.
enum class Mtp { separate, inline_, none };

// The tensors of all files in order: as the checkpoint has them, shard by shard and by name, a layer's
// experts where the last of them stands. Checks first.
Plan plan_tensors(const HfConfig& config, const SafeTensors& checkpoint, const TypeChoice& types, Mtp mtp);

// Tensors and keys.
Plan make_plan(const std::string& folder, const SafeTensors& checkpoint, const TypeChoice& types,
               Mtp mtp = Mtp::separate);

}  // namespace coterie::convert
