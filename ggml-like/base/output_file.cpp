#include "base/output_file.h"

#include "base/errors.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <algorithm>
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

}  // namespace

void check_target(const std::string& path) {
  std::error_code ignored;
  const std::filesystem::file_status status = std::filesystem::status(path, ignored);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
    throw UsageError(path + ": exists and is no regular file");
}

void check_not_input(const std::string& path, const std::string& input) {
  std::error_code ignored;
  if (std::filesystem::equivalent(path, input, ignored))
    throw UsageError(path + ": is the input; the output needs a name of its own");
}

void check_room(const std::string& path, std::uint64_t room) {
  struct statvfs st = {};
  if (statvfs(folder_of(path).c_str(), &st) != 0) fail(path, "folder cannot be examined", errno);
  const std::uint64_t free = static_cast<std::uint64_t>(st.f_bavail) * st.f_frsize;
  if (free < room)
    throw DiskFullError(path + ": needs " + std::to_string(room) + " bytes on disk, " + std::to_string(free) +
                        " are free");
}

std::string partial_path(const std::string& path) { return path + ".partial"; }

std::uint64_t allocated_bytes(const std::string& path) {
  struct stat st = {};
  return stat(path.c_str(), &st) == 0 ? static_cast<std::uint64_t>(st.st_blocks) * 512 : 0;
}

void sync_folder_of(const std::string& path) {
  const int folder = open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = folder >= 0 && fsync(folder) == 0;
  const int error = errno;
  if (folder >= 0) close(folder);
  if (!synced) fail(path, "folder cannot be synced", error);
}

OutputFile::OutputFile(const std::string& path, std::uint64_t room, Unfinished unfinished)
    : path_(path), partial_(partial_path(path)), unfinished_(unfinished) {
  check_target(path);
  const bool keep = unfinished == Unfinished::kept;
  const std::uint64_t there = keep ? allocated_bytes(partial_) : 0;
  check_room(path, room - std::min(room, there));
  fd_ = open(partial_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | (keep ? 0 : O_TRUNC), 0666);
  if (fd_ < 0) fail(partial_, "cannot be created", errno);
  // Claims the room now, where the file system can; where it cannot, the write that finds no room says so.
  if (room == 0 || fallocate(fd_, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(room)) == 0) return;
  if (errno != ENOSPC && errno != EDQUOT) return;
  const int error = errno;
  close(fd_);
  if (there == 0) unlink(partial_.c_str());
  fail(partial_, "cannot be created", error);
}

OutputFile::~OutputFile() {
  if (fd_ >= 0 && unfinished_ == Unfinished::removed) discard();
  if (fd_ >= 0) close(fd_);
}

void OutputFile::discard() {
  unlink(partial_.c_str());
  close(fd_);
  fd_ = -1;
}

void OutputFile::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
  const auto begin = static_cast<off_t>(offset), length = static_cast<off_t>(bytes.size());
  while (!bytes.empty()) {
    const ssize_t n = pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail(partial_, "cannot be written", n < 0 ? errno : EIO);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  // The disk starts at once, so that a sync finds little left to wait for. Whether it could is for the sync to say.
  if (length > 0) static_cast<void>(sync_file_range(fd_, begin, length, SYNC_FILE_RANGE_WRITE));
}

void OutputFile::sync() {
  if (fdatasync(fd_) != 0) fail(partial_, "cannot be synced", errno);
}

void OutputFile::commit() {
  if (fsync(fd_) != 0) fail(partial_, "cannot be synced", errno);
  if (std::rename(partial_.c_str(), path_.c_str()) != 0) fail(path_, "cannot be put in place", errno);
  close(fd_);
  fd_ = -1;
  sync_folder_of(path_);
}

}  // namespace coterie
