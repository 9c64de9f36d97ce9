#include "cli/npy.h"

#include "base/errors.h"

#include <filesystem>

namespace coterie::cli {

static std::string header_of(const std::vector<std::int64_t>& shape) {
  std::string dict = "{'descr': '<f4', 'fortran_order': False, 'shape': (";
  for (const std::int64_t n : shape) dict += std::to_string(n) + ", ";
  dict += "), }";
  constexpr std::size_t prefix = 10, multiple = 64;
  dict.append((multiple - (prefix + dict.size() + 1) % multiple) % multiple, ' ');
  dict += '\n';
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(dict.size() & 0xff);
  header += static_cast<char>(dict.size() >> 8);
  return header + dict;
}

static std::uint64_t bytes_of(const std::vector<std::int64_t>& shape) {
  std::uint64_t bytes = sizeof(float);
  for (const std::int64_t n : shape) bytes *= static_cast<std::uint64_t>(n);
  return bytes;
}

// The finished file takes the place of what has its name, which must not be the model.
static const std::string& not_the_input(const std::string& path, const std::string& input) {
  check_not_input(path, input);
  return path;
}

NpyFile::NpyFile(const std::string& path, const std::vector<std::int64_t>& shape, const std::string& input)
    : file_(not_the_input(path, input), bytes_of(shape)) {
  const std::string header = header_of(shape);
  file_.write_at(0, std::as_bytes(std::span(header)));
  offset_ = header.size();
}

void NpyFile::append(std::span<const float> values) {
  if (Interrupt::requested()) throw Error("interrupted, nothing written", 130);
  file_.write_at(offset_, std::as_bytes(values));
  offset_ += values.size_bytes();
}

}  // namespace coterie::cli
