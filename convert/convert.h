// A Hugging Face checkpoint becomes a GGUF file, in one pass: each tensor is read, laid out, encoded and
// written a few megabytes at a time, so that memory does not grow with the model.
//
// The multi-token-prediction layers go to a file of their own, since llama.cpp refuses tensors that it does
// not know: OUT.gguf -> OUT.mtp.gguf. It has the keys of the model (general.*, and the architecture's, with
// block_count counting its layers too and nextn_predict_layers saying how many they are) and none of the
// tokenizer; its tensors are those of an ordinary layer, blk.N.*, and blk.N.nextn.*: eh_proj, enorm, hnorm,
// embed_tokens, shared_head_norm, shared_head_head.
#pragma once

#include "convert/plan.h"

#include <cstdint>
#include <functional>
#include <string>

namespace coterie::convert {

enum class Mtp { separate, none };

struct ConvertOptions {
  std::string from;  // a folder
  std::string to;    // a .gguf file
  const FileType* type = nullptr;
  Mtp mtp = Mtp::separate;
  int threads = 0;                                                        // 0: one per CPU
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;  // bytes written; may be empty
  std::function<void(const std::string& line)> note;                      // may be empty
};

std::string mtp_path(const std::string& path);

// Throws FileError or ModelError (the checkpoint), DiskFullError or Error (the output). On any fault neither
// file appears.
bool convert(const ConvertOptions& options);  // true: there is a file of multi-token-prediction layers too

// One planned file. The checkpoint that the plan was made of must still be open.
void write_file(const std::string& path, const FilePlan& plan);

}  // namespace coterie::convert
