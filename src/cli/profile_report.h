// A profile as a table and as a picture.
#pragma once

#include "device/cpu/profile.h"

#include <string>

namespace coterie::cli {

std::string table_of(const Profile& profile);
// Spans as boxes below the span they are part of, as wide as their share of the time (an icicle, a flame graph that
// hangs).
std::string svg_of(const Profile& profile);

}  // namespace coterie::cli
