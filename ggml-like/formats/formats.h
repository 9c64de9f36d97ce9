// The list of weight formats, and what the program asks of a format at run time.
//
// A format is a type (see q4_0.h for the shape of one): name, gguf_id, block_size, Activation, Block, decode,
// accumulate, legal, and encode where an encoder exists; block formats also unpack to small integers
// (integers.h). Formats, in list.h, is the one list; every table is generated from it, and no code anywhere
// switches over formats.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace coterie {

enum class ActivationKind { none, f32, act32, act256 };  // none: not a weight type (F64, integers)

// Run-time facts of one format. Rows are whole blocks: n is always a multiple of block_size.
struct FormatInfo {
  const char* name;       // as GGUF tools print it: "Q4_K"
  std::uint32_t gguf_id;  // ggml type number in the file
  int block_size;         // weights per block
  int block_bytes;
  int index;  // position in Formats, -1 where it is not a weight format
  ActivationKind activation;
  void (*decode)(const std::byte* blocks, std::int64_t n, float* w);  // n weights
  bool (*legal)(const std::byte* blocks, std::int64_t n);             // every block finite and legal
  // nullptr: no encoder. importance: how much each weight's squared error counts, n values, or nullptr: all
  // alike. The same bytes as kernels().encode[index], which is faster.
  void (*encode)(const float* w, const float* importance, std::int64_t n, std::byte* blocks);

  std::int64_t row_bytes(std::int64_t n) const { return n / block_size * block_bytes; }
};

// Weight formats in list order, then the plain types (F64, I8, I16, I32, I64) that only `dump tensor` reads.
std::span<const FormatInfo> all_formats();
const FormatInfo* find_format(std::uint32_t gguf_id);  // nullptr: unknown or removed id
const FormatInfo* find_format(std::string_view name);  // case-insensitive; nullptr: unknown

}  // namespace coterie
