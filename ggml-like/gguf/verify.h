// Is every block of every tensor a legal one? Reads the whole file, in parallel, as fast as the disk gives
// it.
#pragma once

#include "gguf/reader.h"

#include <cstdint>
#include <functional>

namespace coterie::gguf {

// Called now and then, from one thread at a time, with the bytes checked so far and in all.
using Progress = std::function<void(std::uint64_t done, std::uint64_t total)>;

// Throws FileError naming the first tensor that has an illegal block (a scale that is no finite number, a
// code outside its table) and that block's byte offset in its file; also when the file changes or fails
// meanwhile.
void verify_blocks(const Reader& file, const Progress& progress = {});

}  // namespace coterie::gguf
