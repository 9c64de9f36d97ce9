// Errors: one hierarchy, each class with the exit code that the command line documents for it.
//
// Thrown while opening, parsing and validating, and at the API; never inside a decode step.
// Message: subject: what is wrong: found, expected ("x.gguf: offset 24: key count 7e18, at most 65536").
#pragma once

#include <stdexcept>
#include <string>

namespace coterie {

class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message, int exit_code = 1)
      : std::runtime_error(message), exit_code_(exit_code) {}
  int exit_code() const { return exit_code_; }

 private:
  int exit_code_;
};

// The command line or an API argument is wrong.
class UsageError : public Error {
 public:
  explicit UsageError(const std::string& message) : Error(message, 2) {}
};

// A file cannot be read, or its container is malformed.
class FileError : public Error {
 public:
  explicit FileError(const std::string& message) : Error(message, 3) {}
};

// A sound container that is no usable model.
class ModelError : public Error {
 public:
  explicit ModelError(const std::string& message) : Error(message, 3) {}
};

// The machine has not enough memory for what was asked.
class MemoryError : public Error {
 public:
  explicit MemoryError(const std::string& message) : Error(message, 4) {}
};

// The disk is full (ENOSPC, EDQUOT).
class DiskFullError : public Error {
 public:
  explicit DiskFullError(const std::string& message) : Error(message, 5) {}
};

class DeviceError : public Error {
 public:
  explicit DeviceError(const std::string& message) : Error(message, 1) {}
};

}  // namespace coterie
