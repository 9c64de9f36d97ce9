// Split models: the first file opens all parts, and parts that do not belong together are refused.
#include "gguf/writer.h"
#include "tests/gguf/raw_file.h"
#include "tests/support/scratch_dir.h"

#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <filesystem>

namespace coterie::gguf {

namespace {

using test::complaint;

struct PartKeys {
  std::uint16_t no, count;
  std::int32_t tensors;
};

void write_part(const std::string& path, PartKeys keys, const std::string& tensor, float value) {
  Writer file(path);
  if (keys.no == 0) file.add_text("general.architecture", "split");
  file.add<std::uint16_t>("split.no", keys.no);
  file.add<std::uint16_t>("split.count", keys.count);
  file.add<std::int32_t>("split.tensors.count", keys.tensors);
  const int t = file.add_tensor(tensor, std::array<std::int64_t, 1>{1}, *find_format("F32"));
  file.begin_data();
  file.write(t, 0, std::as_bytes(std::span(&value, 1)));
  file.commit();
}

struct ThreeParts {
  test::ScratchDir dir;
  std::string first = dir.file("x-00001-of-00003.gguf");
  std::string second = dir.file("x-00002-of-00003.gguf");
  std::string third = dir.file("x-00003-of-00003.gguf");
  ThreeParts() {
    write_part(first, {0, 3, 3}, "a", 1);
    write_part(second, {1, 3, 3}, "b", 2);
    write_part(third, {2, 3, 3}, "c", 3);
  }
};

}  // namespace

TEST_CASE("the first of three files opens all three") {
  const ThreeParts parts;
  const Reader file(parts.first);
  CHECK(file.text("general.architecture") == "split");
  REQUIRE(file.tensors().size() == 3);
  for (int i = 0; i < 3; ++i) {
    const TensorInfo& t = file.tensors()[static_cast<std::size_t>(i)];
    float value = 0;
    std::memcpy(&value, t.data, sizeof value);
    CHECK(t.file == i);
    CHECK(value == static_cast<float>(i + 1));
  }
  CHECK(file.file_path(2) == parts.third);
  CHECK(file.file_bytes() == std::filesystem::file_size(parts.first) +
                                 std::filesystem::file_size(parts.second) +
                                 std::filesystem::file_size(parts.third));
}

TEST_CASE("a later part names the first one") {
  const ThreeParts parts;
  CHECK(complaint(parts.second) ==
        parts.second + ": part 2 of a split model, open the first: " + parts.first);
}

TEST_CASE("a missing part is named") {
  const ThreeParts parts;
  std::filesystem::remove(parts.third);
  CHECK(complaint(parts.first) == parts.third + ": cannot be opened: No such file or directory");
}

TEST_CASE("parts that do not belong together are refused") {
  const ThreeParts parts;
  write_part(parts.second, {2, 3, 3}, "b", 2);
  CHECK(complaint(parts.first) ==
        parts.second + ": keys split.no, split.count: part 3 of 3, expected 2 of 3");
  write_part(parts.second, {1, 4, 3}, "b", 2);
  CHECK(complaint(parts.first) ==
        parts.second + ": keys split.no, split.count: part 2 of 4, expected 2 of 3");
  write_part(parts.second, {1, 3, 3}, "a", 2);
  CHECK(complaint(parts.first).find("tensor a: name occurs twice") != std::string::npos);
  write_part(parts.second, {1, 3, 3}, "b", 2);
  write_part(parts.first, {0, 3, 4}, "a", 1);
  CHECK(complaint(parts.first) == parts.first + ": key split.tensors.count: 4, but the parts have 3 tensors");
}

TEST_CASE("a renamed first part is refused with the name it must have") {
  const ThreeParts parts;
  const std::string renamed = parts.dir.file("model.gguf");
  std::filesystem::rename(parts.first, renamed);
  CHECK(complaint(renamed) == renamed + ": part 1 of 3, whose name must end in -00001-of-00003.gguf");
}

TEST_CASE("a broken later part is named, not the first") {
  const ThreeParts parts;
  std::filesystem::resize_file(parts.third, 30);
  CHECK(complaint(parts.first).starts_with(parts.third + ": byte "));
}

TEST_CASE("a count of one is no split") {
  const test::ScratchDir dir;
  write_part(dir.file("x.gguf"), {0, 1, 1}, "a", 1);
  CHECK(complaint(dir.file("x.gguf")) == "accepted");
}

}  // namespace coterie::gguf
