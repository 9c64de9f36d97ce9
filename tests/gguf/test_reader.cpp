// gguf/reader.h: the values of a sound file, and typed getters that convert nothing silently.
#include "gguf/reader.h"

#include "gguf/writer.h"
#include "tests/gguf/raw_file.h"
#include "tests/support/golden.h"
#include "tests/support/scratch_dir.h"

#include <doctest/doctest.h>

#include <unistd.h>
#include <cmath>
#include <filesystem>
#include <limits>

namespace coterie::gguf {

namespace {

constexpr std::int64_t lowest = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t highest = std::numeric_limits<std::int64_t>::max();

std::int64_t any_integer(const Reader& file, std::string_view key) {
  return file.integer(key, lowest, highest);
}

template <class F>
std::string model_error(F f) {
  try {
    f();
  } catch (const ModelError& e) {
    return e.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("the values of every type are read back") {
  const test::RawFile raw = test::small_file();
  const Reader file(raw.bytes, "x.gguf");
  CHECK(file.version() == 3);
  CHECK(file.alignment() == 32);
  CHECK(file.keys().size() == 14);
  CHECK(file.keys()[1].first == "a.uint8");
  CHECK(file.text("general.architecture") == "small");
  CHECK(any_integer(file, "a.uint8") == 200);
  CHECK(any_integer(file, "a.int8") == -100);
  CHECK(any_integer(file, "a.uint16") == 60'000);
  CHECK(any_integer(file, "a.int16") == -30'000);
  CHECK(any_integer(file, "a.uint32") == 4'000'000'000);
  CHECK(any_integer(file, "a.int32") == -2'000'000'000);
  CHECK(any_integer(file, "a.int64") == -(1LL << 40));
  CHECK(file.number("a.float32") == 1.5F);
  CHECK(file.number("a.float64") == 0.25F);
  CHECK(file.flag("a.bool", false));
  CHECK(file.strings("a.strings") == std::vector<std::string_view>{"one", ""});
  CHECK(file.integers("a.int16s") == std::vector<std::int64_t>{-1, 2});
}

TEST_CASE("tensors have their shapes, bytes and places") {
  const test::RawFile raw = test::small_file();
  const Reader file(raw.bytes, "x.gguf");
  REQUIRE(file.tensors().size() == 2);
  const TensorInfo* t = file.find_tensor("second");
  REQUIRE(t != nullptr);
  CHECK(t->shape == std::array<std::int64_t, 4>{64, 3, 1, 1});
  CHECK(t->n_dims == 2);
  CHECK(std::string(t->format->name) == "Q4_0");
  CHECK(t->row_bytes() == 36);
  CHECK(t->bytes == 108);
  CHECK(t->data == raw.bytes.data() + t->offset);
  CHECK(t->offset + t->bytes == raw.bytes.size());
  CHECK(file.find_tensor("third") == nullptr);
}

TEST_CASE("getters name the key that is missing, of another kind, or out of range") {
  const test::RawFile raw = test::small_file();
  const Reader file(raw.bytes, "x.gguf");
  CHECK(model_error([&] { file.text("no.such"); }) == "x.gguf: key no.such: missing");
  CHECK(model_error([&] { file.text("a.bool"); }) == "x.gguf: key a.bool: type BOOL, expected STRING");
  CHECK(model_error([&] { file.integer("a.float32", 0, 9); }) ==
        "x.gguf: key a.float32: type FLOAT32, expected an integer");
  CHECK(model_error([&] { file.integer("a.bool", 0, 9); }) ==
        "x.gguf: key a.bool: type BOOL, expected an integer");
  CHECK(model_error([&] { file.integer("a.uint8", 0, 199); }) ==
        "x.gguf: key a.uint8: value 200, allowed 0 to 199");
  CHECK(model_error([&] { any_integer(file, "a.uint64"); }).find("value above 2^63") != std::string::npos);
  CHECK(model_error([&] { file.number("a.int8"); }) == "x.gguf: key a.int8: type INT8, expected FLOAT32");
  CHECK(model_error([&] { file.flag("a.uint8", true); }) == "x.gguf: key a.uint8: type UINT8, expected BOOL");
  CHECK(model_error([&] { file.strings("a.int16s"); }) ==
        "x.gguf: key a.int16s: array of INT16, expected STRING");
  CHECK(model_error([&] { file.integers("a.strings"); }) ==
        "x.gguf: key a.strings: array of STRING, expected integers");
  CHECK(model_error([&] { file.numbers("a.int16s"); }) ==
        "x.gguf: key a.int16s: array of INT16, expected FLOAT32");
}

TEST_CASE("a default stands in for an absent key only") {
  const test::RawFile raw = test::small_file();
  const Reader file(raw.bytes, "x.gguf");
  CHECK(file.integer("no.such", 0, 9, 7) == 7);
  CHECK(file.number("no.such", 0.5F) == 0.5F);
  CHECK(file.text("no.such", "x") == "x");
  CHECK(!file.flag("no.such", false));
  CHECK(model_error([&] { file.integer("a.uint8", 0, 9, 7); }) != "no error");
  CHECK(model_error([&] { file.text("a.uint8", "x"); }) != "no error");
}

TEST_CASE("numbers that are not finite are refused") {
  test::RawFile raw;
  raw.header(0, 3);
  raw.key("nan", ValueType::float32).put(std::nanf(""));
  raw.key("large", ValueType::float64).put(1e300);
  raw.key("list", ValueType::array).put(ValueType::float32).put<std::uint64_t>(2).put(1.0F).put(2.0F);
  const Reader file(raw.bytes, "x.gguf");
  CHECK(model_error([&] { file.number("nan"); }).find("allowed finite") != std::string::npos);
  CHECK(model_error([&] { file.number("large"); }).find("allowed finite") != std::string::npos);
  CHECK(file.numbers("list") == std::vector<float>{1, 2});
}

TEST_CASE("every seed of the fuzz target is a sound file, but for the split one") {
  int sound = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(COTERIE_SOURCE_DIR "/tests/fuzz/corpus/gguf")) {
    const std::vector<std::byte> bytes = test::read_file(entry.path().string());
    INFO(entry.path().string());
    const bool split = entry.path().filename() == "split";
    CHECK((test::complaint(bytes) == "accepted") == !split);
    sound += split ? 0 : 1;
  }
  CHECK(sound == 12 + 12 + 31 + 2);
}

TEST_CASE("versions 2 and 3 are read, other alignments too") {
  test::RawFile raw = test::small_file();
  raw.bytes[4] = std::byte{2};
  CHECK(Reader(raw.bytes, "x.gguf").version() == 2);
  test::RawFile wide;
  wide.header(1, 1).key("general.alignment", ValueType::uint32).put<std::uint32_t>(256);
  wide.tensor("t", 4, 0).pad(256).put(std::array<float, 4>{1, 2, 3, 4});
  const Reader file(wide.bytes, "x.gguf");
  CHECK(file.alignment() == 256);
  CHECK(file.tensors()[0].offset == 256);
}

TEST_CASE("a file cut or rewritten while it is open ends in an error, not a signal") {
  const test::ScratchDir dir;
  test::RawFile raw;
  raw.header(1, 0).tensor("t", 1 << 20, 0).pad();
  raw.bytes.resize(raw.bytes.size() + (4 << 20), std::byte{1});
  test::write_file(dir.file("x.gguf"), raw.bytes);
  const Reader file(dir.file("x.gguf"));
  CHECK(!file.io_failed());
  REQUIRE(truncate(dir.file("x.gguf").c_str(), 1 << 20) == 0);
  const TensorInfo& t = file.tensors()[0];
  int sum = 0;
  for (std::uint64_t i = 0; i < t.bytes; ++i) sum += std::to_integer<int>(t.data[i]);
  CHECK(sum < (1 << 20));
  CHECK(file.io_failed());
  CHECK_THROWS_AS(file.check_io(), FileError);
}

}  // namespace coterie::gguf
