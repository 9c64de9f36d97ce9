// gguf/writer.h: bytes as llama.cpp's writer makes them, and no file before it is whole.
#include "gguf/writer.h"

#include "base/errors.h"
#include "tests/gguf/raw_file.h"
#include "tests/support/golden.h"
#include "tests/support/scratch_dir.h"

#include <doctest/doctest.h>

#include <cstdio>
#include <filesystem>

namespace coterie::gguf {

namespace {

namespace fs = std::filesystem;

// Writes again what a Reader has read; tensors last to first, in two pieces each.
void copy(const Reader& from, const std::string& to) {
  Writer file(to);
  for (const auto& [key, value] : from.keys()) file.add(key, value);
  for (const TensorInfo& t : from.tensors())
    file.add_tensor(t.name, std::span(t.shape).first(static_cast<std::size_t>(t.n_dims)), *t.format);
  file.begin_data();
  for (std::size_t i = from.tensors().size(); i-- > 0;) {
    const std::span<const std::byte> data(from.tensors()[i].data, from.tensors()[i].bytes);
    file.write(static_cast<int>(i), 5, data.subspan(5));
    file.write(static_cast<int>(i), 0, data.first(5));
  }
  file.commit();
}

std::string failure(Writer& w, void (*f)(Writer&)) {
  try {
    f(w);
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("read and written again, a file is the same to the bit") {
  const test::ScratchDir dir;
  for (const char* name : {"gguf/v3-yarn.gguf", "gguf/r1-distill-llama.gguf", "quants/all-types.gguf",
                           "malformed/gguf/00-ok.gguf", "malformed/gguf/00-ok-align64.gguf",
                           "malformed/gguf/00-ok-no-tensors.gguf"}) {
    if (!test::full_golden() && !fs::exists(test::golden(name))) {
      std::printf("skipped: the compact golden set has no %s\n", name);
      continue;
    }
    INFO(std::string(name));
    copy(Reader(test::golden(name)), dir.file("copy"));
    CHECK((test::read_file(dir.file("copy")) == test::read_file(test::golden(name))));
  }
}

TEST_CASE("typed keys give the bytes that the format describes") {
  const test::ScratchDir dir;
  Writer file(dir.file("x.gguf"));
  file.add_text("t", "text");
  file.add<std::uint16_t>("u", 7);
  file.add<bool>("b", true);
  file.add<double>("d", 0.5);
  file.add_array<std::int32_t>("i", std::vector<std::int32_t>{-1, 2});
  file.add_texts("s", std::vector<std::string>{"a", ""});
  file.begin_data();
  file.commit();
  test::RawFile expected;
  expected.header(0, 6).key("t", ValueType::string).text("text");
  expected.key("u", ValueType::uint16).put<std::uint16_t>(7);
  expected.key("b", ValueType::boolean).put<std::uint8_t>(1);
  expected.key("d", ValueType::float64).put(0.5);
  expected.key("i", ValueType::array).put(ValueType::int32).put<std::uint64_t>(2);
  expected.put<std::int32_t>(-1).put<std::int32_t>(2);
  expected.key("s", ValueType::array).put(ValueType::string).put<std::uint64_t>(2).text("a").text("").pad();
  CHECK((test::read_file(dir.file("x.gguf")) == expected.bytes));
}

TEST_CASE("a file that is not finished does not appear, and keeps what was there") {
  const test::ScratchDir dir;
  test::write_file(dir.file("x.gguf"), {});
  {
    Writer file(dir.file("x.gguf"));
    const int t = file.add_tensor("t", std::array<std::int64_t, 1>{4}, *find_format("F32"));
    file.begin_data();
    CHECK(fs::exists(dir.file("x.gguf.partial")));
    file.write(t, 0, std::vector<std::byte>(15));
    CHECK(failure(file, [](Writer& w) { w.commit(); }) ==
          dir.file("x.gguf") + ": 15 bytes of tensor data written, expected 16");
  }
  CHECK(!fs::exists(dir.file("x.gguf.partial")));
  CHECK(fs::file_size(dir.file("x.gguf")) == 0);
}

TEST_CASE("wrong use is refused by name") {
  const test::ScratchDir dir;
  const std::string path = dir.file("x.gguf");
  Writer file(path);
  file.add<float>("k", 1);
  file.add_tensor("t", std::array<std::int64_t, 2>{64, 2}, *find_format("Q8_0"));
  CHECK(failure(file, [](Writer& w) { w.add<float>("k", 2); }) == path + ": key k: added twice");
  CHECK(failure(file, [](Writer& w) {
          w.add_tensor("t", std::array<std::int64_t, 1>{1}, *find_format("F32"));
        }) == path + ": tensor t: added twice");
  CHECK(failure(file, [](Writer& w) {
          w.add_tensor("u", std::array<std::int64_t, 1>{33}, *find_format("Q8_0"));
        }) == path + ": tensor u: shape does not fit Q8_0");
  CHECK(failure(file, [](Writer& w) {
          w.add<std::uint32_t>("general.alignment", 24);
        }).find("power of two") != std::string::npos);
  file.begin_data();
  CHECK(failure(file, [](Writer& w) { w.add<float>("l", 1); }) ==
        path + ": key l: added after the metadata were complete");
  CHECK(failure(file, [](Writer& w) { w.write(0, 130, std::vector<std::byte>(7)); }) ==
        path + ": tensor t: 7 bytes at offset 130 of 136");
}

TEST_CASE("a disk that fills up is told apart from other failures") {
  const test::ScratchDir dir;
  fs::create_symlink("/dev/full", dir.file("x.gguf.partial"));
  Writer file(dir.file("x.gguf"));
  CHECK_THROWS_AS(file.begin_data(), DiskFullError);
  Writer huge(dir.file("y.gguf"));
  huge.add_tensor("t", std::array<std::int64_t, 1>{std::int64_t{1} << 60}, *find_format("I8"));
  CHECK_THROWS_AS(huge.begin_data(), DiskFullError);
  CHECK(!fs::exists(dir.file("y.gguf.partial")));
}

}  // namespace coterie::gguf
