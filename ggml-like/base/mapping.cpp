#include "base/mapping.h"

#include "base/errors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <mutex>
#include <utility>

namespace coterie {

// The live mappings, readable from a signal handler: a list whose nodes are never freed, only reused, so that
// the handler needs no lock. A node without begin is free.
struct MappingRegistry {
  struct Node {
    std::atomic<std::uintptr_t> begin{0};
    std::atomic<std::size_t> size{0};
    std::atomic<std::atomic<bool>*> failed{nullptr};
    Node* next = nullptr;
  };

  static inline std::atomic<Node*> head{nullptr};
  static inline std::mutex writers;
  static inline struct sigaction previous;  // what SIGBUS did before us

  static void add(MappedFile& file);
  static void remove(const MappedFile& file);
  static bool rescue(std::uintptr_t address);
  static void on_sigbus(int signal, siginfo_t* info, void* context);
  static void install();
};

void MappingRegistry::add(MappedFile& file) {
  const std::lock_guard<std::mutex> lock(writers);
  static std::once_flag installed;
  std::call_once(installed, install);
  Node* node = head.load();
  while (node != nullptr && node->begin.load() != 0) node = node->next;
  const bool fresh = node == nullptr;
  if (fresh) node = new Node;  // lives as long as the process: a handler may be reading it
  node->size = file.bytes_.size();
  node->failed = &file.failed_;
  node->begin = reinterpret_cast<std::uintptr_t>(file.bytes_.data());
  if (fresh) {
    node->next = head.load();
    head = node;
  }
}

void MappingRegistry::remove(const MappedFile& file) {
  const std::lock_guard<std::mutex> lock(writers);
  for (Node* node = head.load(); node != nullptr; node = node->next)
    if (node->begin.load() == reinterpret_cast<std::uintptr_t>(file.bytes_.data())) node->begin = 0;
}

// Puts zeros over the mapping from the bad page to its end: after one lost page nothing of it is worth
// reading, and one call instead of one per page keeps the number of kernel mappings small. Only atomics and
// one system call.
bool MappingRegistry::rescue(std::uintptr_t address) {
  for (Node* node = head.load(); node != nullptr; node = node->next) {
    const std::uintptr_t begin = node->begin.load();
    const std::size_t size = node->size.load();
    std::atomic<bool>* failed = node->failed.load();
    if (begin == 0 || address < begin || address - begin >= size || node->begin.load() != begin) continue;
    const std::uintptr_t page = address & ~(static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE)) - 1);
    void* zeros = mmap(reinterpret_cast<void*>(page), begin + size - page, PROT_READ,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
    if (zeros == MAP_FAILED) return false;
    failed->store(true);
    return true;
  }
  return false;
}

void MappingRegistry::on_sigbus(int signal, siginfo_t* info, void* /*context*/) {
  const int saved = errno;
  const bool fault = info->si_code > 0;  // else sent by kill(): no address
  const bool rescued = fault && rescue(reinterpret_cast<std::uintptr_t>(info->si_addr));
  if (!rescued) {
    sigaction(SIGBUS, &previous, nullptr);  // the instruction faults again and meets the former action
    if (!fault) raise(signal);              // held back until this handler returns
  }
  errno = saved;
}

void MappingRegistry::install() {
  struct sigaction action = {};
  action.sa_sigaction = on_sigbus;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, &previous);
}

namespace {

[[noreturn]] void fail(const std::string& path, const char* what) {
  throw FileError(path + ": " + what + ": " + std::strerror(errno));
}

}  // namespace

MappedFile::MappedFile(const std::string& path) : path_(path) {
  // Without O_NONBLOCK, opening a pipe would wait for its writer.
  fd_ = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd_ < 0) fail(path, "cannot be opened");
  struct stat st = {};
  try {
    if (fstat(fd_, &st) != 0) fail(path, "cannot be examined");
    if (!S_ISREG(st.st_mode)) throw FileError(path + ": not a regular file");
    modified_ = st.st_mtim;
    if (st.st_size == 0) return;
    const std::size_t size = static_cast<std::size_t>(st.st_size);
    void* p = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd_, 0);
    if (p == MAP_FAILED && errno == ENOMEM)
      throw MemoryError(path +
                        ": cannot be mapped: the address space that this process may use is too small");
    if (p == MAP_FAILED) fail(path, "cannot be mapped");
    // Advice only: file systems that can then read the file in huge pages, which cost fewer walks through page tables.
    madvise(p, size, MADV_HUGEPAGE);
    bytes_ = {static_cast<const std::byte*>(p), size};
  } catch (...) {
    close(fd_);
    throw;
  }
  MappingRegistry::add(*this);
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) {
    MappingRegistry::remove(*this);
    munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  }
  close(fd_);
}

bool MappedFile::failed() const {
  if (failed_.load(std::memory_order_relaxed)) return true;
  struct stat st = {};
  return fstat(fd_, &st) != 0 || static_cast<std::size_t>(st.st_size) != bytes_.size() ||
         st.st_mtim.tv_sec != modified_.tv_sec || st.st_mtim.tv_nsec != modified_.tv_nsec;
}

void MappedFile::release() const {
  // After a lost page zeros of our own lie here, which stay as they are: the failure has been noted.
  if (!bytes_.empty()) madvise(const_cast<std::byte*>(bytes_.data()), bytes_.size(), MADV_DONTNEED);
}

void MappedFile::check() const {
  if (failed_.load(std::memory_order_relaxed))
    throw FileError(path_ + ": a page could not be read: the file was truncated, or its disk failed");
  if (failed()) throw FileError(path_ + ": the file was changed while it was in use");
}

}  // namespace coterie
