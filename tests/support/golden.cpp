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
  GoldenSet set{source / "tests" / "golden", false};
  if (const char* named = std::getenv("COTERIE_GOLDEN"))
    set = {named, true};
  else if (fs::exists(source.parent_path() / "shared" / "golden" / "README.md"))
    set = {source.parent_path() / "shared" / "golden", true};
  if (!fs::exists(set.path)) throw std::runtime_error(set.path.string() + ": no golden data there");
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
