// Safetensors files and folders, read-only: https://github.com/huggingface/safetensors (format section of its
// README).
//
// One .safetensors file, or a folder with model.safetensors or model.safetensors.index.json and its shards.
// Validated as the reference does: header at most 100 MB and JSON depth 8, offsets in order, no gap, no
// overlap, the whole file covered; shard names stay inside the folder. Faults are FileErrors naming file,
// offset, tensor, found and allowed.
#pragma once

#include "base/mapping.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace coterie::convert {

enum class Dtype { F64, F32, F16, BF16, F8_E4M3, F8_E5M2, I64, I32, I16, I8, U8, U16, U32, U64, BOOL };

struct SafeTensor {
  std::string name;
  Dtype dtype;
  std::vector<std::int64_t> shape;   // outermost first, as in the file
  std::span<const std::byte> bytes;  // in the mapping
  int shard;                         // which file, in name order
  std::int64_t elements() const;
};

const char* name_of(Dtype dtype);
bool is_float(Dtype dtype);

class SafeTensors {
 public:
  explicit SafeTensors(const std::string& file_or_folder);                   // throws FileError
  SafeTensors(std::span<const std::byte> file, const std::string& subject);  // the bytes must outlive it
  const std::string& path() const { return path_; }
  const std::vector<SafeTensor>& tensors() const { return tensors_; }  // header order, shards in name order
  const SafeTensor* find(const std::string& name) const;
  const SafeTensor& get(const std::string& name) const;  // throws ModelError when absent
  void check_io() const;  // throws FileError once a page of a mapping could not be read
  void release() const;   // what has been read so far counts no longer as this process's memory
  std::vector<std::string> files() const;  // paths, in name order

 private:
  void open_shard(const std::string& path);
  void add(std::span<const std::byte> bytes, const std::string& path);
  void open_folder(const std::string& index);

  std::string path_;
  std::vector<std::unique_ptr<MappedFile>> files_;
  std::vector<SafeTensor> tensors_;
  std::map<std::string, std::size_t> index_;
};

// Any float tensor as float32, element by element (FP8 block scales are the converter's business).
std::vector<float> to_float(const SafeTensor& t);
void to_float(const SafeTensor& t, std::int64_t first, std::int64_t n, float* out);  // of a float type only

}  // namespace coterie::convert
