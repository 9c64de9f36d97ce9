// Whether the golden set has a file or folder: a clone's compact set may lack it, which is said; the full set
// may not.
#pragma once

#include "tests/support/golden.h"

#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace coterie::test {

inline bool has(const std::string& relative) {
  if (std::filesystem::exists(golden(relative))) return true;
  if (full_golden()) throw std::runtime_error(golden(relative) + ": missing in the full golden set");
  std::printf("skipped: the compact golden set has no %s\n", relative.c_str());
  return false;
}

}  // namespace coterie::test
