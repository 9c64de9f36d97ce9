// gguf/verify.h: the one bad block of a file is found and named by its byte.
#include "gguf/verify.h"

#include "base/errors.h"
#include "tests/gguf/raw_file.h"
#include "tests/support/golden.h"

#include <doctest/doctest.h>

#include <cstdio>
#include <filesystem>

namespace coterie::gguf {

namespace {

// A tensor of n F32 and one of n Q8_0, all zero: legal.
test::RawFile two_tensors(std::uint64_t n) {
  test::RawFile f;
  f.header(2, 0).tensor("floats", n, 0);
  f.text("blocks").put<std::uint32_t>(1).put(n).put<std::uint32_t>(8).put(4 * n);
  f.pad();
  f.bytes.resize(f.bytes.size() + 4 * n + n / 32 * 34);
  return f;
}

std::string verdict(const test::RawFile& f) {
  const Reader file(f.bytes, "x.gguf");
  try {
    verify_blocks(file);
  } catch (const FileError& e) {
    return e.what();
  }
  return "legal";
}

}  // namespace

TEST_CASE("files without a bad block pass and are reported in full") {
  const test::RawFile f = two_tensors(1 << 22);
  const Reader file(f.bytes, "x.gguf");
  std::uint64_t last = 0;
  std::uint64_t expected = 0;
  verify_blocks(file, [&](std::uint64_t done, std::uint64_t total) {
    CHECK(done > last);
    last = done;
    expected = total;
  });
  CHECK(last == expected);
  CHECK(expected == (4ULL << 22) + (1 << 17) * 34);
}

TEST_CASE("the first bad block is named by tensor, number and byte") {
  test::RawFile f = two_tensors(1 << 22);
  const std::uint64_t blocks_at = Reader(f.bytes, "x.gguf").find_tensor("blocks")->offset;
  const std::uint64_t bad = 100'003;
  f.bytes[blocks_at + 34 * bad] = std::byte{0x00};
  f.bytes[blocks_at + 34 * bad + 1] = std::byte{0x7c};  // infinity as the scale
  CHECK(verdict(f) == "x.gguf: byte " + std::to_string(blocks_at + 34 * bad) + ": tensor blocks: block " +
                          std::to_string(bad) +
                          " is no legal Q8_0 block, allowed finite scales and known codes");
  const std::uint64_t floats_at = Reader(f.bytes, "x.gguf").find_tensor("floats")->offset;
  f.bytes[floats_at + 4 * 5 + 2] = std::byte{0xc0};
  f.bytes[floats_at + 4 * 5 + 3] = std::byte{0x7f};  // NaN
  CHECK(
      verdict(f).starts_with("x.gguf: byte " + std::to_string(floats_at + 20) + ": tensor floats: block 5 "));
}

TEST_CASE("the golden file of a model passes") {
  if (!test::full_golden() && !std::filesystem::exists(test::golden("gguf/v3-yarn.gguf"))) {
    std::printf("skipped: the compact golden set has no gguf/v3-yarn.gguf\n");
    return;
  }
  verify_blocks(Reader(test::golden("gguf/v3-yarn.gguf")));
}

}  // namespace coterie::gguf
