// Integers at any address, little-endian as GGUF and every processor that runs this are.
#pragma once

#include "base/inline.h"

#include <cstdint>

namespace coterie {

COTERIE_INLINE std::uint32_t load_u32(const void* p) {
  std::uint32_t v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

COTERIE_INLINE std::uint64_t load_u64(const void* p) {
  std::uint64_t v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

COTERIE_INLINE void store_u32(std::uint32_t v, void* p) { __builtin_memcpy(p, &v, sizeof v); }

}  // namespace coterie
