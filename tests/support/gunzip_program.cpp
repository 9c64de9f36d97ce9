#include "tests/support/gunzip.h"

#include <stdio.h>

#include <array>
#include <stdexcept>

namespace coterie::test {

std::string unzipped(const std::string& path) {
  // With -f, a file that is not compressed is copied as it is.
  FILE* pipe = popen(("gzip -dcf -- '" + path + "'").c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error(path + ": gzip cannot be started");
  std::string bytes;
  std::array<char, 1 << 16> buffer;
  std::size_t n = 0;
  while ((n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0) bytes.append(buffer.data(), n);
  if (pclose(pipe) != 0) throw std::runtime_error(path + ": cannot be decompressed");
  return bytes;
}

}  // namespace coterie::test
