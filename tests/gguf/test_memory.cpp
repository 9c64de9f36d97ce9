// Memory before a file is accepted: at most 2 x metadata + 1 MiB, whatever the file claims.
#include "tests/gguf/allocations.h"
#include "tests/gguf/raw_file.h"
#include "tests/support/scratch_dir.h"

#include <doctest/doctest.h>

#include <filesystem>

namespace coterie::test {

namespace {

// Names of three letters from 32, all different for i < 32768; the shortest names that a million entries can
// have.
std::string name_of(std::uint64_t i) {
  std::string name;
  for (int d = 0; d < 4; ++d, i /= 32) name += static_cast<char>('@' + i % 32);
  return name;
}

// n tensors of one F32 each in files of the least metadata for them.
RawFile many_tensors(std::uint64_t n) {
  RawFile f;
  f.header(n, 1).key("general.alignment", gguf::ValueType::uint32).put<std::uint32_t>(8);
  for (std::uint64_t i = 0; i < n; ++i) f.tensor(name_of(i), 1, 8 * i);
  f.pad(8);
  f.bytes.resize(f.bytes.size() + 8 * n);
  return f;
}

RawFile many_keys(std::uint64_t n) {
  RawFile f;
  f.header(0, n);
  for (std::uint64_t i = 0; i < n; ++i) f.key(name_of(i), gguf::ValueType::uint8).put<std::uint8_t>(0);
  return f;
}

void check_refused_within(const RawFile& f, std::size_t metadata, const char* reason) {
  const AllocationPeak peak;
  const std::string got = complaint(f.bytes);
  CHECK(peak.bytes() <= 2 * metadata + (1 << 20));
  CHECK(got.find(reason) != std::string::npos);
}

}  // namespace

TEST_CASE("a file of 300,000 tensors that fails at the last one stays within the bound") {
  RawFile f = many_tensors(300'000);
  const std::size_t metadata = gguf::Reader(f.bytes, "x.gguf").metadata_bytes();
  f.bytes[metadata - 8] = std::byte{1};
  check_refused_within(f, metadata, "allowed a multiple of 8");
}

TEST_CASE("a file of 300,000 tensors whose last name is the first again stays within the bound") {
  RawFile f = many_tensors(300'000);
  const std::size_t metadata = gguf::Reader(f.bytes, "x.gguf").metadata_bytes();
  const std::string first = name_of(0);
  for (std::size_t i = 0; i < 4; ++i) f.bytes[metadata - 28 + i] = std::byte(first[i]);
  check_refused_within(f, metadata, "name occurs twice");
}

TEST_CASE("65,536 keys, the last one twice, stay within the bound") {
  RawFile f = many_keys(65'536);
  CHECK(complaint(f.bytes) == "accepted");
  const std::string first = name_of(0);
  for (std::size_t i = 0; i < 4; ++i) f.bytes[f.bytes.size() - 9 + i] = std::byte(first[i]);
  check_refused_within(f, f.bytes.size(), "name occurs twice");
}

TEST_CASE("a large file that claims a million tensors and has none costs next to nothing") {
  const ScratchDir dir;
  RawFile f;
  f.header(1 << 20, 65'536);
  write_file(dir.file("x.gguf"), f.bytes);
  std::filesystem::resize_file(dir.file("x.gguf"), std::uint64_t{4} << 30);  // sparse
  const AllocationPeak peak;
  CHECK(complaint(dir.file("x.gguf")) == dir.file("x.gguf") + ": byte 24: key is empty");
  CHECK(peak.bytes() < 1 << 16);
}

TEST_CASE("the count of allocations notices a table made too early") {
  const AllocationPeak peak;
  { const std::vector<gguf::TensorInfo> early(1 << 16); }
  CHECK(peak.bytes() >= sizeof(gguf::TensorInfo) << 16);
}

}  // namespace coterie::test
