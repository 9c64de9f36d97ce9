// Large reference files are kept gzipped in the committed set.
#pragma once

#include <string>

namespace coterie::test {

// The bytes of golden(relative), or of golden(relative + ".gz") decompressed. Throws: neither is there, or it
// is damaged.
std::string golden_bytes(const std::string& relative);

// The bytes of a file, decompressed where it is compressed: with zlib (gunzip_zlib.cpp), or by the program gzip
// where there is no zlib to link, as in cross-builds (gunzip_program.cpp). Throws when that fails.
std::string unzipped(const std::string& path);

// A path to the same: the file itself, or a decompressed copy that is removed when the program ends.
std::string golden_path(const std::string& relative);

// In either form? In the full set everything must be (throws); what the compact one lacks is said once per
// call.
bool has_golden(const std::string& relative);

}  // namespace coterie::test
