// A file mapped read-only, whose loss during a run is an error and never a signal.
//
// A page that cannot be read (the file was truncated, the disk failed) raises SIGBUS. The handler installed
// here finds the mapping, puts zeros there, marks the mapping as failed and lets the instruction go on;
// whoever uses the data asks failed() after its step and reports. A SIGBUS anywhere else keeps its former
// action.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <span>
#include <string>

namespace coterie {

class MappedFile {
 public:
  explicit MappedFile(
      const std::string& path);  // throws FileError: cannot be opened, no regular file; MemoryError
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& path() const { return path_; }
  std::span<const std::byte> bytes() const { return bytes_; }
  bool failed()
      const;  // a page could not be read, or the file's size or time of change is no longer what it was
  void check() const;  // throws FileError saying which
  // Pages in use so far count no longer as this process's memory; one that is asked for again is read again.
  void release() const;

 private:
  std::string path_;
  int fd_ = -1;
  timespec modified_{};
  std::span<const std::byte> bytes_;
  std::atomic<bool> failed_{false};
  friend struct MappingRegistry;
};

}  // namespace coterie
