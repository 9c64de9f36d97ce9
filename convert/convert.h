// A Hugging Face checkpoint becomes a GGUF file, in one pass: each tensor is read, laid out, encoded and
// written a few megabytes at a time, so that memory does not grow with the model.
//
// The multi-token-prediction layers go to a file of their own, since llama.cpp refuses tensors that it does
// not know: OUT.gguf -> OUT.mtp.gguf. It has the keys of the model (general.*, and the architecture's, with
// block_count counting its layers too and nextn_predict_layers saying how many they are) and none of the
// tokenizer; its tensors are those of an ordinary layer, blk.N.*, and blk.N.nextn.*: eh_proj, enorm, hnorm,
// embed_tokens, shared_head_norm, shared_head_head.
//
// A journal beside the file (OUT.gguf.journal, gguf/journal.h) lets the same conversion go on where it was stopped.
#pragma once

#include "convert/plan.h"
#include "gguf/writer.h"
#include "quantize/imatrix.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace coterie::convert {

struct ConvertOptions {
  std::string from;  // a folder
  std::string to;    // a .gguf file
  TypeChoice types;
  Mtp mtp = Mtp::separate;
  const quantize::ImportanceMatrix* importance = nullptr;  // which weights matter to the encoders
  std::uint64_t split_bytes = 0;                           // most bytes per file; 0: no split
  int threads = 0;                                         // 0: one per CPU
  gguf::JournalOptions journal;
  std::function<void(std::uint64_t done, std::uint64_t total)>
      progress;  // bytes written; may be empty, may throw
};

std::string mtp_path(const std::string& path);
std::string journal_path(const std::string& path);

class Conversion {
 public:
  // Decides and checks everything before any work starts. Throws FileError or ModelError (the checkpoint), UsageError (the
  // target, the number of parts).
  explicit Conversion(const ConvertOptions& options);

  struct File {
    const FilePlan* plan;
    std::unique_ptr<gguf::Writer> writer;  // laid out
  };
  const std::vector<File>& files() const { return files_; }
  const std::vector<std::string>& notes() const { return plan_.notes; }  // for the user

  // Writes all files, or goes on with them. Throws FileError (the checkpoint fails meanwhile), ModelError (a weight is no
  // finite number), DiskFullError or Error (the output), and what gguf::Journal throws. No file has appeared then, and what is
  // done stays for the next run.
  void run();

 private:
  void add_file(const std::string& path, const FilePlan& plan);
  void note_missing_importance();
  gguf::Work work() const;

  ConvertOptions options_;
  SafeTensors checkpoint_;
  Plan plan_;
  std::vector<File> files_;
};

void convert(const ConvertOptions& options);

// One planned file, without a journal. The checkpoint that the plan was made of must still be open.
void write_file(const std::string& path, const FilePlan& plan);

}  // namespace coterie::convert
