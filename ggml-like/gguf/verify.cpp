#include "gguf/verify.h"

#include "base/errors.h"

#include <sys/mman.h>
#include <unistd.h>
#include <algorithm>
#include <atomic>
#include <mutex>

namespace coterie::gguf {

namespace {

constexpr std::uint64_t piece_bytes = 4 << 20;

// A run of whole blocks of one tensor.
struct Piece {
  const TensorInfo* tensor;
  std::uint64_t offset;  // in the tensor's data
  std::uint64_t bytes;
};

std::vector<Piece> cut(const Reader& file) {
  std::vector<Piece> pieces;
  for (const TensorInfo& t : file.tensors()) {
    const std::uint64_t block = static_cast<std::uint64_t>(t.format->block_bytes);
    const std::uint64_t step = std::max(block, piece_bytes / block * block);
    for (std::uint64_t at = 0; at < t.bytes; at += step)
      pieces.push_back({&t, at, std::min(step, t.bytes - at)});
  }
  return pieces;
}

bool legal(const Piece& p) {
  const FormatInfo& f = *p.tensor->format;
  const std::int64_t blocks = static_cast<std::int64_t>(p.bytes) / f.block_bytes;
  return f.legal(p.tensor->data + p.offset, blocks * f.block_size);
}

// Asks the kernel to read a piece before its turn comes.
void prefetch(const Piece& p) {
  const std::uintptr_t page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const std::uintptr_t begin = reinterpret_cast<std::uintptr_t>(p.tensor->data + p.offset);
  const std::uintptr_t aligned = begin / page * page;
  madvise(reinterpret_cast<void*>(aligned), begin - aligned + p.bytes, MADV_WILLNEED);
}

[[noreturn]] void report(const Reader& file, const Piece& p) {
  const TensorInfo& t = *p.tensor;
  const std::uint64_t block = static_cast<std::uint64_t>(t.format->block_bytes);
  std::uint64_t at = p.offset;
  while (at + block < p.offset + p.bytes && t.format->legal(t.data + at, t.format->block_size)) at += block;
  throw FileError(file.file_path(t.file) + ": byte " + std::to_string(t.offset + at) + ": tensor " +
                  std::string(t.name) + ": block " + std::to_string(at / block) + " is no legal " +
                  t.format->name + " block, allowed finite scales and known codes");
}

}  // namespace

void verify_blocks(const Reader& file, const Progress& progress) {
  const std::vector<Piece> pieces = cut(file);
  const std::size_t n = pieces.size();
  std::uint64_t total = 0;
  for (const Piece& p : pieces) total += p.bytes;

  std::atomic<std::size_t> first_bad{n};
  std::mutex reporting;
  std::uint64_t done = 0;
#pragma omp parallel for schedule(dynamic, 1)
  for (std::size_t i = 0; i < n; ++i) {
    if (first_bad < i) continue;  // an earlier piece decides
    if (i + 8 < n) prefetch(pieces[i + 8]);
    if (!legal(pieces[i])) {
      std::size_t seen = first_bad;
      while (i < seen && !first_bad.compare_exchange_weak(seen, i)) continue;
    }
    const std::lock_guard<std::mutex> lock(reporting);
    done += pieces[i].bytes;
    if (progress) progress(done, total);
  }
  file.check_io();
  if (first_bad < n) report(file, pieces[first_bad]);
}

}  // namespace coterie::gguf
