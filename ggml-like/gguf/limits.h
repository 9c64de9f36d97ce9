// What a GGUF file may ask for. Real files stay far below: DeepSeek-R1 has 1,025 tensors, 50 keys and 129,280
// tokens in some megabytes of metadata. Every figure is checked before memory is allocated for what it
// counts.
#pragma once

#include <cstdint>

namespace coterie::gguf::limits {

inline constexpr std::uint64_t metadata_bytes = 256 << 20;
inline constexpr std::uint64_t keys = 64 << 10;
inline constexpr std::uint64_t tensors = 1 << 20;
inline constexpr std::uint64_t key_bytes = 64 << 10;    // GGUF specification
inline constexpr std::uint64_t tensor_name_bytes = 64;  // GGUF specification
inline constexpr std::uint64_t string_bytes = 16 << 20;
inline constexpr std::uint64_t array_elements = 16 << 20;
inline constexpr std::uint64_t alignment_min = 8;
inline constexpr std::uint64_t alignment_max = 64 << 10;
inline constexpr std::uint32_t dims = 4;
inline constexpr std::uint64_t written_parts = 1000;  // a reader opens them all at once
inline constexpr std::uint64_t parts = 99'999;  // five digits in the name of a split

// The smallest entries there can be: length of the name, type and value; length, dimension count, type and
// offset.
inline constexpr std::uint64_t smallest_key = 8 + 4 + 1;
inline constexpr std::uint64_t smallest_tensor = 8 + 4 + 4 + 8;

}  // namespace coterie::gguf::limits
