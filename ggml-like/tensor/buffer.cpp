#include "tensor/buffer.h"

#include "base/errors.h"

#include <sys/mman.h>

#include <cstring>
#include <string>

namespace coterie {

Pages::Pages(std::uint64_t bytes, const char* what) : bytes_(bytes) {
  if (bytes == 0) return;
  // No MAP_NORESERVE: a cache that the machine can never hold should fail here, not in the middle of an
  // answer.
  void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED)
    throw MemoryError(std::string(what) + ": needs " + std::to_string(bytes >> 20) +
                      " MiB: " + std::strerror(errno));
  if (bytes >= 4U << 20) madvise(p, bytes, MADV_HUGEPAGE);  // advice only: a refusal changes nothing
  data_ = static_cast<std::byte*>(p);
}

Pages::~Pages() {
  if (data_ != nullptr) munmap(data_, bytes_);
}

}  // namespace coterie
