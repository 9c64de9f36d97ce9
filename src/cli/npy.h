// NumPy's array file: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
//
//   bytes 0..5   "\x93NUMPY"
//   bytes 6..7   version 1.0
//   bytes 8..9   length of the header that follows
//   then         {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }, spaces and a newline up to
//                a multiple of 64
//   then         the numbers, last index fastest
#pragma once

#include "base/output_file.h"
#include "cli/terminal.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace coterie::cli {

// float32 of a shape known beforehand, written in order. The file appears when commit() is called; Ctrl-C before that ends
// in an Error (130) from append() and leaves nothing behind.
class NpyFile {
 public:
  // shape: outermost first; input: the model file, which is not to be overwritten (UsageError).
  NpyFile(const std::string& path, const std::vector<std::int64_t>& shape, const std::string& input);
  void append(std::span<const float> values);
  void commit() { file_.commit(); }

 private:
  Interrupt interrupt_;
  OutputFile file_;
  std::uint64_t offset_ = 0;
};

}  // namespace coterie::cli
