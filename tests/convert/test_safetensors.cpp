// tests/convert/test_safetensors.cpp: the malformed set, shards, and values of every float type.
#include "base/errors.h"
#include "base/half.h"
#include "convert/safetensors.h"
#include "tests/convert/has.h"
#include "tests/support/scratch_dir.h"

#include <doctest/doctest.h>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

namespace coterie::convert {

namespace {

std::string error_of(const std::string& path) {
  try {
    const SafeTensors opened(path);
    return "";
  } catch (const FileError& e) {
    return e.what();
  }
}

// A file with the given header and as many zero bytes of data.
std::string make_file(const test::ScratchDir& dir, const std::string& name, const std::string& header,
                      std::size_t data) {
  const std::uint64_t length = header.size();
  std::vector<std::byte> bytes(8 + header.size() + data);
  std::memcpy(bytes.data(), &length, 8);
  std::memcpy(bytes.data() + 8, header.data(), header.size());
  test::write_file(dir.file(name), bytes);
  return dir.file(name);
}

}  // namespace

TEST_CASE("every safetensors case of the malformed set is accepted or refused as stated") {
  if (!test::has("malformed/cases.json")) return;
  const std::vector<std::byte> list = test::read_file(test::golden("malformed/cases.json"));
  int seen = 0;
  for (const auto& c : nlohmann::json::parse(reinterpret_cast<const char*>(list.data()),
                                             reinterpret_cast<const char*>(list.data()) + list.size())) {
    const std::string file = c["file"], expect = c["expect"];
    if (!file.starts_with("safetensors/")) continue;
    if (file.starts_with("safetensors/dir-config")) continue;  // sound weights: test_hf_config has them
    const std::string path = test::golden("malformed/" + file);
    if (!test::has("malformed/" + file)) continue;
    INFO(file, ": ", c["why"].get<std::string>());
    const std::string error = error_of(path);
    INFO(error);
    if (expect == "accept") CHECK(error.empty());
    if (expect == "reject") {
      CHECK(error.starts_with(path));
      CHECK(error.find('\n') == std::string::npos);
      CHECK(error.size() < path.size() + 300);
    }
    ++seen;
  }
  if (test::full_golden()) CHECK(seen >= 50);
}

TEST_CASE("an error names file, offset, tensor, found and allowed value") {
  const test::ScratchDir dir;
  const std::string path =
      make_file(dir, "a.safetensors", R"({"w":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8);
  CHECK(error_of(path) == path + ": offset 62: tensor \"w\": has 8 bytes, its shape and dtype ask for 12");
}

TEST_CASE("a tensor name cannot break out of its line or flood it") {
  const test::ScratchDir dir;
  const std::string name = "x\\n\\u001b[31m" + std::string(5000, 'y');
  const std::string path = make_file(
      dir, "a.safetensors", R"({")" + name + R"(":{"dtype":"F33","shape":[],"data_offsets":[0,4]}})", 4);
  const std::string error = error_of(path);
  CHECK(error.find_first_of("\n\x1b") == std::string::npos);
  CHECK(error.size() < path.size() + 300);
}

TEST_CASE("shards are read in name order and every tensor is found") {
  if (!test::has("models/v3-fp8-mtp")) return;
  const SafeTensors model(test::golden("models/v3-fp8-mtp"));
  CHECK(model.tensors().size() == 93 + 94 + 78);
  CHECK(model.tensors().front().shard == 0);
  CHECK(model.tensors().back().shard == 2);
  for (const SafeTensor& t : model.tensors()) CHECK(model.find(t.name) == &t);
  CHECK(model.find("no such tensor") == nullptr);
  CHECK_THROWS_AS(model.get("no such tensor"), ModelError);
  CHECK(model.get("lm_head.weight").shape == std::vector<std::int64_t>{1024, 256});
}

TEST_CASE("FP8 values are those of the reference tables, NaN included") {
  if (!test::has("numbers/numbers.safetensors")) return;
  const SafeTensors numbers(test::golden("numbers/numbers.safetensors"));
  for (const auto& [dtype, table] :
       {std::pair{Dtype::F8_E4M3, "e4m3fn_to_f32"}, {Dtype::F8_E5M2, "e5m2_to_f32"}}) {
    const SafeTensor& expected = numbers.get(table);
    std::vector<std::byte> codes(256);
    for (std::size_t i = 0; i < 256; ++i) codes[i] = static_cast<std::byte>(i);
    const std::vector<float> got = to_float(SafeTensor{"codes", dtype, {256}, codes, 0});
    for (std::size_t i = 0; i < 256; ++i) {
      std::uint32_t bits = 0;
      std::memcpy(&bits, expected.bytes.data() + 4 * i, 4);
      INFO(expected.name, " ", i);
      if (std::isnan(float_of(bits)))
        CHECK(std::isnan(got[i]));
      else
        CHECK(bits_of(got[i]) == bits);
    }
  }
}

TEST_CASE("only float types become float") {
  const std::byte bytes[8] = {};
  CHECK_THROWS_AS(to_float(SafeTensor{"ids", Dtype::I64, {1}, bytes, 0}), ModelError);
  CHECK(to_float(SafeTensor{"x", Dtype::F64, {1}, bytes, 0}) == std::vector<float>{0.0F});
}

}  // namespace coterie::convert
