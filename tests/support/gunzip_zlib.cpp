#include "tests/support/gunzip.h"

#include <zlib.h>

#include <array>
#include <memory>
#include <stdexcept>

namespace coterie::test {

std::string unzipped(const std::string& path) {
  // gzread gives the bytes of a file that is not compressed as they are.
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose);
  if (!file) throw std::runtime_error(path + ": cannot be opened");
  std::string bytes;
  std::array<char, 1 << 16> buffer;
  int n = 0;
  while ((n = gzread(file.get(), buffer.data(), buffer.size())) > 0)
    bytes.append(buffer.data(), static_cast<std::size_t>(n));
  if (n < 0) throw std::runtime_error(path + ": cannot be decompressed");
  return bytes;
}

}  // namespace coterie::test
