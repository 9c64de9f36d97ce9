#include "engine/resident.h"

#include "base/memory.h"
#include "device/cpu/cpu.h"

#include <cstring>

namespace coterie {

namespace {

constexpr const char* what = "weights in huge pages";

// Of a tensor within the pages: a cache line, as in a file.
std::uint64_t aligned(std::uint64_t bytes) { return (bytes + 63) & ~std::uint64_t{63}; }

void copy(const gguf::TensorInfo& t, Team& team, std::byte* to) {
  const std::int64_t stacked = t.shape[2] * t.shape[3];
  const std::int64_t rows_each = std::max<std::int64_t>(1, (std::int64_t{2} << 20) / t.row_bytes());
  const std::vector<int> counts(static_cast<std::size_t>(stacked), blocks_of(t.shape[1], rows_each));
  team.run_lists(counts, [&](int matrix, int task, int) {
    const std::int64_t row = task * rows_each;
    const std::int64_t n = std::min(rows_each, t.shape[1] - row);
    const std::int64_t at = (matrix * t.shape[1] + row) * t.row_bytes();
    std::memcpy(to + at, t.data + at, static_cast<std::size_t>(n * t.row_bytes()));
  });
}

}  // namespace

Resident::Resident(gguf::Reader& file, Team& team, HugePages kind, FunctionRef<void(double share)> progress) {
  std::uint64_t total = 0;
  for (const gguf::TensorInfo& t : file.tensors()) total += aligned(t.bytes);
  if (kind == HugePages::transparent) require_memory(total, what);
  pages_ = Pages(total, what, kind);
  std::byte* to = pages_.data();
  std::uint64_t unreleased = 0;
  team.step([&] {
    for (const gguf::TensorInfo& t : file.tensors()) {
      progress(static_cast<double>(to - pages_.data()) / static_cast<double>(total));
      copy(t, team, to);
      file.substitute(t.name, *t.format, to);
      to += aligned(t.bytes);
      // What has been copied shall not count twice.
      constexpr std::uint64_t release_every = std::uint64_t{1} << 30;
      if ((unreleased += t.bytes) < release_every) continue;
      unreleased = 0;
      file.release();
    }
  });
  file.release();
  file.check_io();
}

}  // namespace coterie
