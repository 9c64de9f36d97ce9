// Every broken file ends in one clear line; the stored set, and sets made here: each truncation and each
// flipped bit of a small file, and each limit at its edge.
#include "base/json.h"
#include "gguf/limits.h"
#include "tests/gguf/allocations.h"
#include "tests/gguf/raw_file.h"
#include "tests/support/golden.h"
#include "tests/support/scratch_dir.h"

#include <doctest/doctest.h>

#include <array>
#include <cstdio>
#include <filesystem>

namespace coterie::test {

using gguf::ValueType;

RawFile small_file() {
  RawFile f;
  f.header(2, 14);
  f.key("general.architecture", ValueType::string).text("small");
  f.key("a.uint8", ValueType::uint8).put<std::uint8_t>(200);
  f.key("a.int8", ValueType::int8).put<std::int8_t>(-100);
  f.key("a.uint16", ValueType::uint16).put<std::uint16_t>(60'000);
  f.key("a.int16", ValueType::int16).put<std::int16_t>(-30'000);
  f.key("a.uint32", ValueType::uint32).put<std::uint32_t>(4'000'000'000);
  f.key("a.int32", ValueType::int32).put<std::int32_t>(-2'000'000'000);
  f.key("a.float32", ValueType::float32).put(1.5F);
  f.key("a.bool", ValueType::boolean).put<std::uint8_t>(1);
  f.key("a.strings", ValueType::array).put(ValueType::string).put<std::uint64_t>(2).text("one").text("");
  f.key("a.int16s", ValueType::array).put(ValueType::int16).put<std::uint64_t>(2);
  f.put<std::int16_t>(-1).put<std::int16_t>(2);
  f.key("a.uint64", ValueType::uint64).put<std::uint64_t>(1ULL << 63);
  f.key("a.int64", ValueType::int64).put<std::int64_t>(-(1LL << 40));
  f.key("a.float64", ValueType::float64).put(0.25);
  f.tensor("first", 8, 0);
  f.text("second").put<std::uint32_t>(2).put<std::uint64_t>(64).put<std::uint64_t>(3);
  f.put<std::uint32_t>(2).put<std::uint64_t>(32);  // Q4_0
  f.pad();
  f.bytes.resize(f.bytes.size() + 32 + 2 * 3 * 18);
  return f;
}

namespace {

std::string complaint_of_key(std::string_view name, ValueType type, std::span<const std::byte> payload) {
  RawFile f;
  f.header(0, 1).key(name, type);
  f.bytes.insert(f.bytes.end(), payload.begin(), payload.end());
  return complaint(f.bytes);
}

std::string complaint_of_array(ValueType element, std::uint64_t count) {
  RawFile payload;
  payload.put(element).put(count);
  payload.bytes.resize(payload.bytes.size() + 100);
  return complaint_of_key("k", ValueType::array, payload.bytes);
}

}  // namespace

TEST_CASE("every file of the stored malformed set ends as its list says") {
  if (!full_golden() && !std::filesystem::exists(golden("malformed/cases.json"))) {
    std::printf("skipped: the compact golden set has no malformed/cases.json\n");
    return;
  }
  const std::vector<std::byte> text = read_file(golden("malformed/cases.json"));
  const std::string_view view(reinterpret_cast<const char*>(text.data()), text.size());
  int seen = 0;
  for (const auto& c : parse_json(view, {1 << 20, 8}, "cases.json")) {
    const std::string name = c["file"];
    if (!name.starts_with("gguf/")) continue;
    ++seen;
    const std::string path = golden("malformed/" + name);
    const std::size_t size = std::filesystem::file_size(path);
    const std::string why = c["why"];
    INFO(name, ": ", why);
    const AllocationPeak peak;
    const std::string got = complaint(path);
    CHECK(peak.bytes() <= 2 * size + (1 << 20));
    INFO(got);
    const bool container = c["level"] == "container";
    if (!container || c["expect"] == "accept") CHECK(got == "accepted");
    if (container && c["expect"] == "reject") CHECK(got != "accepted");
    if (got == "accepted") continue;
    CHECK(got.starts_with(path + ": byte "));
    CHECK(got.find('\n') == std::string::npos);
    CHECK(got.size() < path.size() + 300);
  }
  CHECK(seen >= 100);
}

TEST_CASE("no truncation of a small file is accepted, but for the padding at its end") {
  const RawFile whole = small_file();
  REQUIRE(complaint(whole.bytes) == "accepted");
  for (std::size_t n = 0; n < whole.bytes.size(); ++n) {
    INFO(n, " bytes");
    const std::string got = complaint(std::span(whole.bytes).first(n));
    CHECK(got.starts_with("x.gguf: byte "));
  }
}

TEST_CASE("every flipped bit of a small file's header is refused or harmless") {
  RawFile f = small_file();
  const std::size_t metadata = gguf::Reader(f.bytes, "x.gguf").metadata_bytes();
  int refused = 0;
  for (std::size_t bit = 0; bit < 8 * metadata; ++bit) {
    f.bytes[bit / 8] ^= std::byte(1 << bit % 8);
    const AllocationPeak peak;
    std::string got = "accepted";
    try {
      const gguf::Reader file(f.bytes, "x.gguf");
      int sum = 0;  // what was accepted can be read
      for (const gguf::TensorInfo& t : file.tensors())
        for (std::uint64_t i = 0; i < t.bytes; ++i) sum += std::to_integer<int>(t.data[i]);
      CHECK(sum == 0);
    } catch (const FileError& e) {
      got = e.what();
      ++refused;
      CHECK(got.starts_with("x.gguf: byte "));
    }
    INFO("bit ", bit, ": ", got);
    CHECK(peak.bytes() <= 2 * metadata + (1 << 20));
    f.bytes[bit / 8] ^= std::byte(1 << bit % 8);
  }
  CHECK(refused > static_cast<int>(4 * metadata));  // counts, lengths, types, shapes; not names and values
}

TEST_CASE("faults name the byte, the key or tensor, what was found and what is allowed") {
  CHECK(complaint(std::span<const std::byte>{}) == "x.gguf: byte 0: magic of 4 bytes, but 0 bytes are left");
  CHECK(complaint(RawFile().header(0, 1).key("a", gguf::ValueType::boolean).put<std::uint8_t>(2).bytes) ==
        "x.gguf: byte 37: key a: boolean 2, allowed 0 or 1");
  CHECK(complaint(RawFile().header(0, 3).bytes) ==
        "x.gguf: byte 16: key count 3, allowed at most 0 in the 0 bytes that follow");
  CHECK(complaint(RawFile().header(1ULL << 62, 0).bytes) ==
        "x.gguf: byte 8: tensor count 4611686018427387904, allowed at most 1048576");
  CHECK(complaint(RawFile().header(0, 1).key("k", static_cast<ValueType>(13)).put<std::uint64_t>(0).bytes) ==
        "x.gguf: byte 33: key k: value type 13, allowed 0 to 12");
  CHECK(complaint(
            RawFile().header(0, 1).key("general.alignment", ValueType::uint32).put<std::uint32_t>(3).bytes) ==
        "x.gguf: byte 53: key general.alignment: alignment 3, allowed a power of two from 8 to 65536");
  CHECK(complaint(RawFile().header(1, 0).tensor("t", 8, 16).pad().put(std::array<float, 16>{}).bytes) ==
        "x.gguf: byte 49: tensor t: data offset 16, allowed a multiple of 32");
  CHECK(complaint(RawFile().header(1, 0).tensor("t", 8, 32).pad().put(std::array<float, 8>{}).bytes) ==
        "x.gguf: byte 49: tensor t: data of 32 bytes at offset 32 of a data section at byte 64, but the file "
        "has 96 bytes");
  CHECK(complaint(RawFile()
                      .header(2, 0)
                      .tensor("t", 8, 0)
                      .tensor("t", 8, 32)
                      .pad()
                      .put(std::array<float, 16>{})
                      .bytes) == "x.gguf: byte 57: tensor t: name occurs twice");
  CHECK(complaint(RawFile()
                      .header(2, 0)
                      .tensor("t", 9, 0)
                      .tensor("u", 8, 32)
                      .pad()
                      .put(std::array<float, 32>{})
                      .bytes) ==
        "x.gguf: byte 82: tensor u: data offset 32, allowed from 36, where the data of the tensor before it "
        "end");
}

TEST_CASE("array limits hold at their edge") {
  CHECK(complaint_of_array(ValueType::uint8, 100) == "accepted");
  CHECK(complaint_of_array(ValueType::uint8, 101).find("array of 101 elements of at least 1 bytes") !=
        std::string::npos);
  CHECK(complaint_of_array(ValueType::string, 12).find("accepted") != std::string::npos);
  CHECK(complaint_of_array(ValueType::string, 13).find("at least 8 bytes") != std::string::npos);
  CHECK(complaint_of_array(ValueType::array, 1).find("array of arrays") != std::string::npos);
  CHECK(complaint_of_array(ValueType::uint8, gguf::limits::array_elements + 1)
            .find("allowed at most 16777216") != std::string::npos);
}

TEST_CASE("key and string limits hold at their edge") {
  const std::byte one[]{std::byte{1}};
  CHECK(complaint_of_key(std::string(gguf::limits::key_bytes, 'k'), ValueType::uint8, one) == "accepted");
  CHECK(complaint_of_key(std::string(gguf::limits::key_bytes + 1, 'k'), ValueType::uint8, one) ==
        "x.gguf: byte 24: key of 65537 bytes, allowed at most 65536");
  CHECK(complaint_of_key("", ValueType::uint8, one) == "x.gguf: byte 24: key is empty");
  CHECK(complaint_of_key("\x1b[2J", ValueType::uint8, one) == "x.gguf: byte 24: key is not printable ASCII");
  RawFile longest;
  longest.text(std::string(gguf::limits::string_bytes, 's'));
  CHECK(complaint_of_key("k", ValueType::string, longest.bytes) == "accepted");
  RawFile longer;
  longer.text(std::string(gguf::limits::string_bytes + 1, 's'));
  CHECK(complaint_of_key("k", ValueType::string, longer.bytes) ==
        "x.gguf: byte 37: key k: string of 16777217 bytes, allowed at most 16777216");
}

}  // namespace coterie::test
