// Loaded before the program (LD_PRELOAD): the n-th call that changes a file fails, or is the process's last.
//
//   COTERIE_FAULT=kill:37     half of the 37th call is done, then the process dies as by kill -9
//   COTERIE_FAULT=enospc:37   from there on the disk is full
//   COTERIE_FAULT=eio:37      this call fails, the next ones do not
//   COTERIE_FAULT=count:FILE  no call fails; their number is written to FILE at the end
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

enum class Fault { none, kill, enospc, eio };

std::atomic<long> calls{0};

struct Wanted {
  Fault fault = Fault::none;
  long call = 0;
  const char* count_file = nullptr;

  Wanted() {
    const char* text = std::getenv("COTERIE_FAULT");
    const char* colon = text == nullptr ? nullptr : std::strchr(text, ':');
    if (colon == nullptr) return;
    if (std::strncmp(text, "count", 5) == 0) count_file = colon + 1;
    if (std::strncmp(text, "kill", 4) == 0) fault = Fault::kill;
    if (std::strncmp(text, "enospc", 6) == 0) fault = Fault::enospc;
    if (std::strncmp(text, "eio", 3) == 0) fault = Fault::eio;
    call = std::strtol(colon + 1, nullptr, 10);
  }
  ~Wanted() {
    if (count_file == nullptr) return;
    if (std::FILE* file = std::fopen(count_file, "w")) {
      std::fprintf(file, "%ld\n", calls.load());
      std::fclose(file);
    }
  }
};

const Wanted& wanted() {
  static const Wanted w;
  return w;
}

[[noreturn]] void die() {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

// What this call meets.
Fault next() {
  const Wanted& w = wanted();
  const long call = ++calls;
  if (w.fault == Fault::none || call < w.call) return Fault::none;
  return call == w.call || w.fault == Fault::enospc ? w.fault : Fault::none;
}

template <class F>
F real(const char* name) {
  return reinterpret_cast<F>(dlsym(RTLD_NEXT, name));
}

// A call that happens whole or not at all, and needs room on the disk or not.
template <class Call>
int change(bool needs_room, Call call) {
  const Fault fault = next();
  if (fault == Fault::kill) die();
  if (fault == Fault::eio || (fault == Fault::enospc && needs_room)) {
    errno = fault == Fault::eio ? EIO : ENOSPC;
    return -1;
  }
  return call();
}

}  // namespace

extern "C" {

ssize_t pwrite(int fd, const void* bytes, size_t n, off_t offset) {
  static const auto call = real<ssize_t (*)(int, const void*, size_t, off_t)>("pwrite");
  const Fault fault = next();
  if (fault == Fault::none) return call(fd, bytes, n, offset);
  if (fault == Fault::kill) {
    call(fd, bytes, n / 2, offset);
    die();
  }
  errno = fault == Fault::eio ? EIO : ENOSPC;
  return -1;
}

int fdatasync(int fd) {
  static const auto call = real<int (*)(int)>("fdatasync");
  return change(true, [&] { return call(fd); });
}

int fsync(int fd) {
  static const auto call = real<int (*)(int)>("fsync");
  return change(true, [&] { return call(fd); });
}

int fallocate(int fd, int mode, off_t offset, off_t n) {
  static const auto call = real<int (*)(int, int, off_t, off_t)>("fallocate");
  return change(true, [&] { return call(fd, mode, offset, n); });
}

int ftruncate(int fd, off_t n) noexcept {
  static const auto call = real<int (*)(int, off_t)>("ftruncate");
  return change(false, [&] { return call(fd, n); });
}

int rename(const char* from, const char* to) noexcept {
  static const auto call = real<int (*)(const char*, const char*)>("rename");
  return change(false, [&] { return call(from, to); });
}

int unlink(const char* path) noexcept {
  static const auto call = real<int (*)(const char*)>("unlink");
  return change(false, [&] { return call(path); });
}

}  // extern "C"
