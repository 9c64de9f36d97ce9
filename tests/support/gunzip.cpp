#include "tests/support/gunzip.h"

#include "tests/support/golden.h"
#include "tests/support/scratch_dir.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <stdexcept>

namespace coterie::test {

bool has_golden(const std::string& relative) {
  if (std::filesystem::exists(golden(relative)) || std::filesystem::exists(golden(relative + ".gz")))
    return true;
  if (full_golden()) throw std::runtime_error(golden(relative) + ": missing from the full golden set");
  std::fprintf(stderr, "left out: %s is not in the compact golden set\n", relative.c_str());
  return false;
}

std::string golden_bytes(const std::string& relative) {
  const std::string plain = golden(relative);
  return unzipped(std::filesystem::exists(plain) ? plain : plain + ".gz");
}

std::string golden_path(const std::string& relative) {
  if (std::filesystem::exists(golden(relative))) return golden(relative);
  static const ScratchDir folder;
  static std::map<std::string, std::string> copies;
  std::string& path = copies[relative];
  if (path.empty()) {
    const std::string bytes = golden_bytes(relative);
    path = folder.file(std::to_string(copies.size()) + "-" +
                       std::filesystem::path(relative).filename().string());
    write_file(path, std::as_bytes(std::span(bytes)));
  }
  return path;
}

}  // namespace coterie::test
