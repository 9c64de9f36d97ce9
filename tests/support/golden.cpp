#include "tests/support/golden.h"

#include <cstdio>
#include <cstdlib>
#include <stdexcept>

namespace coterie::test {

namespace fs = std::filesystem;

namespace {

struct GoldenSet {
  fs::path path;
  bool full;
};

GoldenSet find_golden() {
  const fs::path source = COTERIE_SOURCE_DIR;
  fs::path path = source / "tests" / "golden";
  if (const char* named = std::getenv("COTERIE_GOLDEN"))
    path = named;
  else if (fs::exists(source.parent_path() / "shared" / "golden" / "README.md"))
    path = source.parent_path() / "shared" / "golden";
  if (!fs::exists(path)) throw std::runtime_error(path.string() + ": no golden data there");
  const GoldenSet set{path, !fs::exists(path / "COMPACT")};
  std::fprintf(stderr, "golden set: %s (%s)\n", set.path.c_str(), set.full ? "full" : "compact, committed");
  return set;
}

const GoldenSet& chosen() {
  static const GoldenSet set = find_golden();
  return set;
}

}  // namespace

fs::path golden_dir() { return chosen().path; }
bool full_golden() { return chosen().full; }

}  // namespace coterie::test
