#include "base/output_file.h"

#include "base/errors.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

namespace coterie {

namespace {

[[noreturn]] void fail(const std::string& path, const char* what, int error) {
  const std::string message = path + ": " + what + ": " + std::strerror(error);
  if (error == ENOSPC || error == EDQUOT) throw DiskFullError(message);
  throw Error(message);
}

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

void check_room(const std::string& path, std::uint64_t room) {
  struct statvfs st = {};
  if (statvfs(folder_of(path).c_str(), &st) != 0) fail(path, "folder cannot be examined", errno);
  const std::uint64_t free = static_cast<std::uint64_t>(st.f_bavail) * st.f_frsize;
  if (free < room)
    throw DiskFullError(path + ": needs " + std::to_string(room) + " bytes on disk, " + std::to_string(free) +
                        " are free");
}

}  // namespace

void check_target(const std::string& path) {
  std::error_code ignored;
  const std::filesystem::file_status status = std::filesystem::status(path, ignored);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
    throw UsageError(path + ": exists and is no regular file");
}

OutputFile::OutputFile(const std::string& path, std::uint64_t room)
    : path_(path), partial_(path + ".partial") {
  check_target(path);
  check_room(path, room);
  fd_ = open(partial_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd_ < 0) fail(partial_, "cannot be created", errno);
  // Claims the room now, where the file system can; where it cannot, the write that finds no room says so.
  if (room == 0 || fallocate(fd_, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(room)) == 0) return;
  if (errno != ENOSPC && errno != EDQUOT) return;
  const int error = errno;
  close(fd_);
  unlink(partial_.c_str());
  fail(partial_, "cannot be created", error);
}

OutputFile::~OutputFile() {
  if (fd_ < 0) return;
  close(fd_);
  unlink(partial_.c_str());
}

void OutputFile::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail(partial_, "cannot be written", n < 0 ? errno : EIO);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
}

void OutputFile::commit() {
  if (fsync(fd_) != 0) fail(partial_, "cannot be synced", errno);
  if (std::rename(partial_.c_str(), path_.c_str()) != 0) fail(path_, "cannot be put in place", errno);
  close(fd_);
  fd_ = -1;
  // The name is as durable as the data only once its folder has been synced too.
  const int folder = open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = folder >= 0 && fsync(folder) == 0;
  const int error = errno;
  if (folder >= 0) close(folder);
  if (!synced) fail(path_, "folder cannot be synced", error);
}

}  // namespace coterie
