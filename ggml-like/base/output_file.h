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
// Throws UsageError where both are the same file.
void check_not_input(const std::string& path, const std::string& input);

// Throws DiskFullError where the folder of path has no room for that many more bytes.
void check_room(const std::string& path, std::uint64_t room);

std::string partial_path(const std::string& path);
std::uint64_t allocated_bytes(const std::string& path);  // on disk; 0 where there is no such file

// A removed, created or renamed name is durable only once its folder has been synced.
void sync_folder_of(const std::string& path);

// What becomes of PATH.partial when it is not committed. One that is kept is also found again: the constructor opens what an
// earlier process has left.
enum class Unfinished { removed, kept };

class OutputFile {
 public:
  // Checks the target and opens PATH.partial; room: bytes that the file will have, 0 if unknown. Throws DiskFullError when
  // they do not fit.
  explicit OutputFile(const std::string& path, std::uint64_t room = 0,
                      Unfinished unfinished = Unfinished::removed);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write_at(std::uint64_t offset,
                std::span<const std::byte> bytes);  // threads may write different ranges at once
  void sync();                                      // what has been written is on disk
  void commit();                                    // sync, rename to PATH, sync the directory
  void discard();                                   // removes PATH.partial

 private:
  std::string path_;
  std::string partial_;
  Unfinished unfinished_;
  int fd_ = -1;
};

}  // namespace coterie
