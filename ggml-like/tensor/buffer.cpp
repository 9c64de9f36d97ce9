#include "tensor/buffer.h"

#include "base/errors.h"

#include <linux/mman.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <string>

namespace coterie {

namespace {

constexpr std::uint64_t huge_page = std::uint64_t{2} << 20;

std::uint64_t pool(const char* which) {
  std::ifstream in(std::string("/sys/kernel/mm/hugepages/hugepages-2048kB/") + which);
  std::uint64_t n = 0;
  in >> n;
  return n;
}

[[noreturn]] void too_few_huge_pages(std::uint64_t bytes, const char* what) {
  const ReservedHugePages pages = reserved_huge_pages();
  const std::uint64_t needed = bytes / huge_page;
  throw MemoryError(std::string(what) + ": needs " + std::to_string(needed) + " huge pages of 2 MiB, " +
                    std::to_string(pages.free) + " free; this provides them: sudo sysctl vm.nr_hugepages=" +
                    std::to_string(pages.all - std::min(pages.free, pages.all) + needed));
}

}  // namespace

ReservedHugePages reserved_huge_pages() { return {pool("nr_hugepages"), pool("free_hugepages")}; }

Pages::Pages(std::uint64_t bytes, const char* what, HugePages kind) {
  if (bytes == 0) return;
  const bool reserved = kind == HugePages::reserved;
  bytes_ = reserved ? (bytes + huge_page - 1) / huge_page * huge_page : bytes;
  // No MAP_NORESERVE: a cache that the machine can never hold should fail here, not in the middle of an
  // answer.
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | (reserved ? MAP_HUGETLB | MAP_HUGE_2MB : 0);
  void* p = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (p == MAP_FAILED && reserved) too_few_huge_pages(bytes_, what);
  if (p == MAP_FAILED)
    throw MemoryError(std::string(what) + ": needs " + std::to_string(bytes >> 20) +
                      " MiB: " + std::strerror(errno));
  if (bytes >= 2 * huge_page) madvise(p, bytes, MADV_HUGEPAGE);  // advice only: a refusal changes nothing
  data_ = static_cast<std::byte*>(p);
}

Pages::~Pages() {
  if (data_ != nullptr) munmap(data_, bytes_);
}

}  // namespace coterie
