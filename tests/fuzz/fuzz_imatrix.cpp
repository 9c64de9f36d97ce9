// Any bytes as an importance matrix, in the GGUF form or the old .dat one: refused with an error, or readable to the
// last weight of every entry.
#include "base/errors.h"
#include "quantize/imatrix.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>

using namespace coterie;

namespace {

// Entries say neither rows nor experts, so a model of another shape may ask for anything.
void read_entry(const quantize::ImportanceMatrix& m, const std::string& name) {
  for (const std::int64_t n : {0, 1, 2, 3, 256})
    for (const std::int64_t matrix : {-1, 0, 1, 7}) {
      m.tokens(name, matrix);
      try {
        const std::vector<float> weights = m.weights(name, n, matrix);
        if (!weights.empty() && weights.size() != static_cast<std::size_t>(n)) std::abort();
        for (const float w : weights)
          if (std::isnan(w) || w < 0) std::abort();
      } catch (const ModelError&) {
      }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const int fd = memfd_create("imatrix", MFD_CLOEXEC);
  if (fd < 0 || write(fd, data, size) != static_cast<ssize_t>(size)) std::abort();
  try {
    const quantize::ImportanceMatrix m("/proc/self/fd/" + std::to_string(fd));
    for (const std::string& name : m.names()) read_entry(m, name);
  } catch (const FileError&) {
  }
  close(fd);
  return 0;
}
