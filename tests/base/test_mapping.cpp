// base/mapping.h, with real files truncated under a real mapping.
#include "base/mapping.h"

#include "base/errors.h"
#include "tests/support/scratch_dir.h"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <array>
#include <csignal>
#include <cstdio>
#include <thread>
#include <vector>

namespace coterie {

namespace {

constexpr std::size_t page = 4096;

void fill(const std::string& path, std::size_t size) {
  const std::vector<std::byte> ones(size, std::byte{1});
  test::write_file(path, ones);
}

int sum(std::span<const std::byte> bytes) {
  int total = 0;
  for (const std::byte b : bytes) total += std::to_integer<int>(b);
  return total;
}

std::string refusal(const std::string& path) {
  try {
    const MappedFile file(path);
  } catch (const FileError& e) {
    return e.what();
  }
  return "accepted";
}

// How a child process that runs f ends: its exit code, or minus the signal.
int end_of_child(void (*f)(const std::string&), const std::string& path) {
  const pid_t child = fork();
  if (child == 0) {
    f(path);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

TEST_CASE("a mapping shows the file's bytes") {
  const test::ScratchDir dir;
  fill(dir.file("a"), 3 * page + 17);
  const MappedFile file(dir.file("a"));
  CHECK(file.bytes().size() == 3 * page + 17);
  CHECK(sum(file.bytes()) == 3 * page + 17);
  CHECK(!file.failed());
  file.check();
}

TEST_CASE("an empty file is an empty mapping") {
  const test::ScratchDir dir;
  fill(dir.file("a"), 0);
  CHECK(MappedFile(dir.file("a")).bytes().empty());
}

TEST_CASE("what is no readable regular file is refused by name") {
  const test::ScratchDir dir;
  CHECK(refusal(dir.file("none")) == dir.file("none") + ": cannot be opened: No such file or directory");
  CHECK(refusal(dir.file(".")) == dir.file(".") + ": not a regular file");
  REQUIRE(mkfifo(dir.file("pipe").c_str(), 0600) == 0);
  CHECK(refusal(dir.file("pipe")) ==
        dir.file("pipe") + ": not a regular file");  // and does not wait for a writer
  CHECK(refusal("/dev/null") == "/dev/null: not a regular file");
}

TEST_CASE("pages lost to a truncation read as zeros and the mapping says so") {
  const test::ScratchDir dir;
  fill(dir.file("a"), 64 * page);
  fill(dir.file("b"), 64 * page);
  const MappedFile file(dir.file("a"));
  const MappedFile other(dir.file("b"));
  REQUIRE(truncate(dir.file("a").c_str(), 10 * page) == 0);
  CHECK(sum(file.bytes()) == 10 * page);
  CHECK(file.failed());
  CHECK_THROWS_WITH_AS(
      file.check(),
      (dir.file("a") + ": a page could not be read: the file was truncated, or its disk failed").c_str(),
      FileError);
  CHECK(sum(other.bytes()) == 64 * page);
  CHECK(!other.failed());
}

TEST_CASE("several threads may meet the lost pages at once") {
  const test::ScratchDir dir;
  fill(dir.file("a"), 256 * page);
  const MappedFile file(dir.file("a"));
  REQUIRE(truncate(dir.file("a").c_str(), 0) == 0);
  std::array<int, 4> sums{1, 1, 1, 1};
  {
    std::vector<std::jthread> threads;
    for (int& s : sums) threads.emplace_back([&file, &s] { s = sum(file.bytes()); });
  }
  CHECK(sums == std::array<int, 4>{0, 0, 0, 0});
  CHECK(file.failed());
}

TEST_CASE("a file rewritten in place is noticed, one replaced by renaming does no harm") {
  const test::ScratchDir dir;
  fill(dir.file("a"), 2 * page);
  fill(dir.file("b"), 2 * page);
  const MappedFile file(dir.file("a"));
  REQUIRE(std::rename(dir.file("b").c_str(), dir.file("a").c_str()) == 0);
  file.check();
  const MappedFile again(dir.file("a"));
  usleep(20'000);  // the time of change has the resolution of the kernel's tick
  fill(dir.file("a"), 2 * page);
  CHECK(again.failed());
  CHECK_THROWS_AS(again.check(), FileError);
}

TEST_CASE("a SIGBUS outside our mappings, or sent by hand, still kills") {
  const test::ScratchDir dir;
  fill(dir.file("a"), 2 * page);
  fill(dir.file("b"), 2 * page);
  const MappedFile ours(dir.file("a"));
  const auto foreign = [](const std::string& path) {
    const int fd = open(path.c_str(), O_RDWR);
    const volatile char* p = static_cast<const char*>(mmap(nullptr, page, PROT_READ, MAP_SHARED, fd, 0));
    if (ftruncate(fd, 0) != 0) _exit(0);
    _exit(p[0]);  // zero where the page could be read after all
  };
  // By the signal, or with status 1 by the handler of a sanitizer, which was there before ours.
  const auto killed = [](int end) { return end == -SIGBUS || end == 1; };
  CHECK(killed(end_of_child(foreign, dir.file("b"))));
  CHECK(killed(end_of_child([](const std::string&) { raise(SIGBUS); }, "")));
}

TEST_CASE("a thousand mappings come and go") {
  const test::ScratchDir dir;
  fill(dir.file("a"), 4 * page);
  for (int i = 0; i < 1000; ++i) CHECK(MappedFile(dir.file("a")).bytes().size() == 4 * page);
  const MappedFile file(dir.file("a"));
  REQUIRE(truncate(dir.file("a").c_str(), 0) == 0);
  CHECK(sum(file.bytes()) == 0);
}

}  // namespace coterie
