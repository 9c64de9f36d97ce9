#pragma once

#include <string>

namespace coterie::cli {

std::string version_line();  // "coterie 0.1.0 (Release, GNU 12.2.0, commit 1a2b3c4)"

}  // namespace coterie::cli
