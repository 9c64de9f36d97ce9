// gguf/journal.h: whatever is cut off, and wherever, the same work goes on and ends in the same bytes.
#include "gguf/journal.h"

#include "base/errors.h"
#include "tests/support/scratch_dir.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <optional>
#include <random>

namespace coterie::gguf {

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t chunk = 1000;

// Two files of three tensors each, one of them in parts; the bytes depend on nothing but their place.
struct Files {
  explicit Files(const test::ScratchDir& dir, std::int64_t rows = 8)
      : model(dir.file("m.gguf"), 9000), extra(dir.file("m.mtp.gguf")) {
    for (Writer* file : {&model, &extra}) {
      file->add_text("general.architecture", "none");
      for (const char* name : {"a", "b", "c"})
        file->add_tensor(name, std::array<std::int64_t, 2>{128, rows}, *find_format("F32"));
    }
  }
  std::vector<Writer*> all() { return {&model, &extra}; }

  Writer model, extra;
};

std::byte byte_at(int tensor, std::uint64_t offset) {
  return static_cast<std::byte>(offset * 31 + offset / 256 + static_cast<std::uint64_t>(tensor));
}

// Writes what is not done; stops before byte `stop` of what it writes. Returns how many bytes it wrote.
std::uint64_t write(Files& files, std::uint64_t stop = ~0ULL) {
  std::uint64_t wrote = 0;
  for (Writer* file : files.all())
    for (int t = 0; t < file->tensor_count(); ++t)
      for (std::uint64_t at = file->done(t); at < file->tensor_bytes(t);) {
        std::vector<std::byte> bytes(std::min(chunk, file->tensor_bytes(t) - at));
        if (wrote + bytes.size() > stop) return wrote;
        for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = byte_at(t, at + i);
        file->write(t, at, bytes);
        at += bytes.size();
        wrote += bytes.size();
      }
  return wrote;
}

const Work work{{{"--type", "F32"}}, {{"in", "7 bytes"}}};

struct Attempt {
  explicit Attempt(const test::ScratchDir& dir, const Work& w = work, bool restart = false)
      : files(dir), journal(dir.file("m.gguf.journal"), w, files.all(), {restart, 3 * chunk, {}}) {}
  Files files;
  Journal journal;
};

constexpr std::uint64_t all_bytes = 6 * 128 * 8 * 4;

std::vector<std::string> names_in(const test::ScratchDir& dir) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(dir.file(""))) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

// The finished files, made without a journal.
void check_finished(const test::ScratchDir& dir) {
  const test::ScratchDir plain;
  Files files(plain);
  for (Writer* file : files.all()) file->begin_data();
  write(files);
  for (Writer* file : files.all()) file->commit();
  REQUIRE(names_in(dir) == names_in(plain));
  for (const std::string& name : names_in(plain))
    CHECK((test::read_file(dir.file(name)) == test::read_file(plain.file(name))));
}

void finish(const test::ScratchDir& dir) {
  Attempt last(dir);
  CHECK(last.journal.resumed_bytes() + write(last.files) == all_bytes);
  last.journal.commit();
  check_finished(dir);
}

template <class E>
std::string refusal(const test::ScratchDir& dir, const Work& w) {
  try {
    const Attempt attempt(dir, w);
  } catch (const E& e) {
    return e.what();
  }
  return "accepted";
}

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

// Copies what a killed process would have left.
void copy_folder(const test::ScratchDir& from, const test::ScratchDir& to) {
  fs::copy(from.file(""), to.file(""), fs::copy_options::recursive | fs::copy_options::overwrite_existing);
}

}  // namespace

TEST_CASE("files under a journal are those without one, in parts where they are split") {
  const test::ScratchDir dir;
  finish(dir);
  CHECK(names_in(dir) ==
        std::vector<std::string>{"m-00001-of-00002.gguf", "m-00002-of-00002.gguf", "m.mtp.gguf"});
}

TEST_CASE("work that stops anywhere goes on there and ends in the same bytes") {
  for (std::uint64_t stop = 0; stop <= all_bytes; stop += 3500) {
    INFO(stop);
    const test::ScratchDir dir;
    std::uint64_t wrote = 0;
    {
      Attempt first(dir);
      wrote = write(first.files, stop);
    }
    CHECK(fs::exists(dir.file("m.gguf.journal")) == (wrote > 0));
    CHECK(fs::exists(dir.file("m.mtp.gguf.partial")) == (wrote > 0));
    CHECK(Attempt(dir).journal.resumed_bytes() == wrote);
    finish(dir);
  }
}

TEST_CASE("a process killed between two syncs loses the last batch only") {
  const test::ScratchDir dir, killed;
  Attempt first(dir);
  const std::uint64_t wrote = write(first.files, 20 * chunk);
  copy_folder(dir, killed);
  const std::uint64_t resumed = Attempt(killed).journal.resumed_bytes();
  CHECK(resumed < wrote);
  CHECK(resumed >= wrote - 4 * chunk);
  finish(killed);
}

TEST_CASE("a journal cut off at any byte is a valid one") {
  const test::ScratchDir dir;
  {
    Attempt first(dir);
    write(first.files);
  }
  const std::uint64_t size = fs::file_size(dir.file("m.gguf.journal"));
  std::uint64_t before = 0;
  for (std::uint64_t length = 0; length <= size; length += length < 400 ? 37 : 11) {
    const test::ScratchDir cut;
    copy_folder(dir, cut);
    fs::resize_file(cut.file("m.gguf.journal"), length);
    {
      Attempt next(cut);
      CHECK(next.journal.resumed_bytes() >= before);
      before = next.journal.resumed_bytes();
    }
    if (length % 3 == 0) finish(cut);
  }
  CHECK(before > 0);
}

TEST_CASE("a range that is not as recorded is done again, and so is one behind a lost partial file") {
  const test::ScratchDir dir;
  {
    Attempt first(dir);
    write(first.files, 25 * chunk);
  }
  const std::string path = dir.file("m.mtp.gguf.partial");
  std::vector<std::byte> bytes = test::read_file(path);
  bytes[bytes.size() / 12] ^= std::byte{1};
  test::write_file(path, bytes);
  fs::remove(dir.file("m-00001-of-00002.gguf.partial"));
  CHECK(Attempt(dir).journal.resumed_bytes() < 20 * chunk);
  finish(dir);
}

TEST_CASE("a process killed while it puts the files in place") {
  const test::ScratchDir dir;
  const test::ScratchDir before;
  {
    Attempt first(dir);
    write(first.files);
  }
  copy_folder(dir, before);
  finish(dir);
  // The record that all is on disk, and some of the names already there.
  const auto committed_journal = [&] {
    const test::ScratchDir blocked;
    copy_folder(before, blocked);
    Attempt again(blocked);
    fs::create_directory(blocked.file("m-00001-of-00002.gguf"));  // nothing can be renamed to this
    CHECK_THROWS_AS(again.journal.commit(), Error);
    return test::read_file(blocked.file("m.gguf.journal"));
  }();
  for (const char* in_place : {"", "m-00001-of-00002.gguf", "m-00002-of-00002.gguf", "m.mtp.gguf"}) {
    const test::ScratchDir killed;
    copy_folder(before, killed);
    test::write_file(killed.file("m.gguf.journal"), committed_journal);
    if (*in_place != 0) fs::rename(killed.file(std::string(in_place) + ".partial"), killed.file(in_place));
    CHECK(Attempt(killed).journal.resumed_bytes() == all_bytes);
    finish(killed);
  }
  test::write_file(dir.file("m.gguf.journal"), committed_journal);  // killed before the journal was removed
  finish(dir);
}

TEST_CASE("other options, another source and other tensors are refused, unless the work begins anew") {
  const test::ScratchDir dir;
  {
    Attempt first(dir);
    write(first.files, 9000);
  }
  const std::string options = refusal<UsageError>(dir, {{{"--type", "F16"}}, work.source});
  CHECK(has(options, "begun with --type F32, found F16"));
  CHECK(has(options, "--restart"));
  const std::string source = refusal<FileError>(dir, {work.options, {{"in", "8 bytes"}}});
  CHECK(has(source, "in has changed: begun with 7 bytes, found 8 bytes"));
  CHECK(
      has(refusal<FileError>(dir, {work.options, {}}), "in has changed: begun with 7 bytes, found nothing"));
  {
    Files other(dir, 9);
    CHECK_THROWS_AS(Journal(dir.file("m.gguf.journal"), work, other.all(), {}), FileError);
  }
  CHECK(Attempt(dir).journal.resumed_bytes() > 0);
  {
    Files other(dir, 40);  // has more parts
    Journal journal(dir.file("m.gguf.journal"), work, other.all(), {true, chunk, {}});
    write(other, 9000);
    CHECK(fs::exists(dir.file("m-00001-of-00003.gguf.partial")));
  }
  CHECK(Attempt(dir, work, true).journal.resumed_bytes() == 0);
  CHECK(names_in(dir).empty());
  finish(dir);
}

TEST_CASE("a damaged first line, and a second process, are refused") {
  const test::ScratchDir dir;
  {
    Attempt first(dir);
    write(first.files, 9000);
    CHECK(has(refusal<Error>(dir, work), "another process is writing these files"));
  }
  std::vector<std::byte> journal = test::read_file(dir.file("m.gguf.journal"));
  journal[5] ^= std::byte{1};
  test::write_file(dir.file("m.gguf.journal"), journal);
  CHECK(has(refusal<FileError>(dir, work), "its first line is damaged"));
}

TEST_CASE("a full disk is told apart, and leaves nothing where nothing is done") {
  const test::ScratchDir dir;
  Writer huge(dir.file("m.gguf"));
  huge.add_tensor("t", std::array<std::int64_t, 1>{std::int64_t{1} << 60}, *find_format("I8"));
  CHECK_THROWS_AS(Journal(dir.file("m.gguf.journal"), work, {&huge}, {}), DiskFullError);
  CHECK(names_in(dir).empty());
}

TEST_CASE("work that is not whole cannot be committed") {
  const test::ScratchDir dir;
  Attempt first(dir);
  write(first.files, 9000);
  CHECK_THROWS_AS(first.journal.commit(), Error);
  CHECK(fs::exists(dir.file("m.mtp.gguf.partial")));
  CHECK(!fs::exists(dir.file("m.mtp.gguf")));
}

TEST_CASE("verification reports how far it is and may be interrupted without loss") {
  const test::ScratchDir dir;
  std::uint64_t wrote = 0;
  {
    Attempt first(dir);
    wrote = write(first.files, 9000);
  }
  {
    Files files(dir);
    const auto stop = [](std::uint64_t, std::uint64_t) { throw Error("interrupted", 130); };
    CHECK_THROWS_AS(Journal(dir.file("m.gguf.journal"), work, files.all(), {false, chunk, stop}), Error);
  }
  Files files(dir);
  std::uint64_t last = 0;
  const Journal journal(dir.file("m.gguf.journal"), work, files.all(),
                        {false, chunk, [&](std::uint64_t done, std::uint64_t total) {
                           CHECK(total == wrote);
                           CHECK(done > last);
                           last = done;
                         }});
  CHECK(last == wrote);
}

}  // namespace coterie::gguf
