#include "tests/gguf/allocations.h"

#include <malloc.h>
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::size_t> live{0};
std::atomic<std::size_t> peak{0};

}  // namespace

void* operator new(std::size_t n) {
  void* p = std::malloc(n == 0 ? 1 : n);
  if (p == nullptr) throw std::bad_alloc();
  const std::size_t now = live += malloc_usable_size(p);
  peak = std::max(peak.load(), now);
  return p;
}
void* operator new[](std::size_t n) { return operator new(n); }

void operator delete(void* p) noexcept {
  if (p != nullptr) live -= malloc_usable_size(p);
  std::free(p);
}
void operator delete[](void* p) noexcept { operator delete(p); }
void operator delete(void* p, std::size_t /*n*/) noexcept { operator delete(p); }
void operator delete[](void* p, std::size_t /*n*/) noexcept { operator delete(p); }

namespace coterie::test {

AllocationPeak::AllocationPeak() : base_(live) { peak = base_; }
std::size_t AllocationPeak::bytes() const { return peak - base_; }

}  // namespace coterie::test
