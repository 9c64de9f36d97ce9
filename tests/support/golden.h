// Where the reference data lie: $COTERIE_GOLDEN, else a "shared/golden" beside the checkout, else the committed compact set
// in tests/golden. The first use says on stderr which set is used.
#pragma once

#include <filesystem>
#include <string>

namespace coterie::test {

std::filesystem::path golden_dir();
bool full_golden();  // false: the committed compact part, which lacks some files
inline std::string golden(const std::string& relative) { return (golden_dir() / relative).string(); }

}  // namespace coterie::test
