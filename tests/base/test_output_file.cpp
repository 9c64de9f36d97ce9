// base/output_file.h: whole or absent; a full disk is told apart.
#include "base/output_file.h"

#include "base/errors.h"
#include "tests/support/scratch_dir.h"

#include <doctest/doctest.h>

#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <string_view>

namespace coterie {

namespace {

namespace fs = std::filesystem;

std::span<const std::byte> bytes_of(std::string_view s) { return std::as_bytes(std::span(s)); }

}  // namespace

TEST_CASE("a committed file has its bytes and leaves no partial file") {
  const test::ScratchDir dir;
  {
    OutputFile file(dir.file("a"), 11);
    file.write_at(6, bytes_of("world"));
    file.write_at(0, bytes_of("hello "));
    CHECK(!fs::exists(dir.file("a")));
    CHECK(fs::exists(dir.file("a.partial")));
    file.commit();
  }
  CHECK(!fs::exists(dir.file("a.partial")));
  const std::vector<std::byte> got = test::read_file(dir.file("a"));
  CHECK(std::string(reinterpret_cast<const char*>(got.data()), got.size()) == "hello world");
}

TEST_CASE("without commit the target keeps what it had") {
  const test::ScratchDir dir;
  test::write_file(dir.file("a"), bytes_of("old"));
  {
    OutputFile file(dir.file("a"));
    file.write_at(0, bytes_of("new and unfinished"));
  }
  CHECK(!fs::exists(dir.file("a.partial")));
  CHECK(test::read_file(dir.file("a")).size() == 3);
}

TEST_CASE("too little room is refused before a byte is written") {
  const test::ScratchDir dir;
  CHECK_THROWS_AS(OutputFile(dir.file("a"), std::uint64_t{1} << 60), DiskFullError);
  CHECK(!fs::exists(dir.file("a.partial")));
}

TEST_CASE("a disk that fills up is a DiskFullError with exit code 5") {
  const test::ScratchDir dir;
  fs::create_symlink("/dev/full", dir.file("a.partial"));  // every write there ends in ENOSPC
  OutputFile file(dir.file("a"));
  try {
    file.write_at(0, bytes_of("x"));
    FAIL("written");
  } catch (const DiskFullError& e) {
    CHECK(std::string(e.what()) == dir.file("a.partial") + ": cannot be written: No space left on device");
    CHECK(e.exit_code() == 5);
  }
}

TEST_CASE("other failures are Errors that name the path") {
  const test::ScratchDir dir;
  try {
    OutputFile file(dir.file("no/such/a"));
    FAIL("created");
  } catch (const DiskFullError&) {
    FAIL("not a full disk");
  } catch (const Error& e) {
    CHECK(std::string(e.what()).find(dir.file("no/such/a")) == 0);
    CHECK(e.exit_code() == 1);
  }
}

TEST_CASE("a pipe or folder of the target's name is refused and stays") {
  const test::ScratchDir dir;
  const std::string pipe = dir.file("pipe");
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  CHECK_THROWS_AS(OutputFile{pipe}, UsageError);
  CHECK(std::filesystem::is_fifo(pipe));
  CHECK_FALSE(std::filesystem::exists(pipe + ".partial"));
}

}  // namespace coterie
