// A file that appears whole or not at all: written as PATH.partial, renamed by commit().
//
// A full disk (ENOSPC, EDQUOT) is a DiskFullError, every other failure an Error; both name the path.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace coterie {

// The finished file takes the place of whatever has its name: throws UsageError where that is a device, pipe or folder.
void check_target(const std::string& path);

class OutputFile {
 public:
  // Checks the target and creates PATH.partial; room: bytes that will be written, 0 if unknown. Throws DiskFullError when they do
  // not fit.
  explicit OutputFile(const std::string& path, std::uint64_t room = 0);
  ~OutputFile();  // without commit(): removes PATH.partial
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write_at(std::uint64_t offset,
                std::span<const std::byte> bytes);  // threads may write different ranges at once
  void commit();                                    // sync, rename to PATH, sync the directory

 private:
  std::string path_;
  std::string partial_;
  int fd_ = -1;
};

}  // namespace coterie
