// tests/quantize/test_encoded.cpp: the bytes of every encoder, pinned.
//
// encoded.json holds, for every format, a hash of what our encoder makes of the golden rows (plain, then with
// importance), and a hash of the floats that PyPI's gguf package reads from these very bytes. make_encoded.py wrote
// both, through `coterie quantize`. So the two tests below prove: the encoders' bytes are those of their version, and
// that other reader sees in them, bit for bit, the weights that we see.
#include "base/json.h"
#include "convert/safetensors.h"
#include "kernels/kernels.h"
#include "quantize/encode.h"
#include "tests/support/golden.h"
#include "tests/support/scratch_dir.h"
#include "tests/support/sha256.h"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

namespace coterie::test {

namespace {

nlohmann::ordered_json encoded_json() {
  const std::string path = COTERIE_SOURCE_DIR "/tests/quantize/encoded.json";
  const std::vector<std::byte> bytes = read_file(path);
  return parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, {1 << 20, 8}, path);
}

struct Rows {
  std::vector<std::vector<float>> sets;  // [rows][columns]
  std::vector<float> importance;         // [columns]
};

Rows golden_rows() {
  const convert::SafeTensors file(golden("quants/quantize.safetensors"));
  Rows rows;
  for (const char* name : {"x_gauss", "x_heavy", "x_edge"}) rows.sets.push_back(to_float(file.get(name)));
  rows.importance = to_float(file.get("imatrix"));
  return rows;
}

// All sets one after another, first without importance, then with it.
std::vector<std::byte> encode_all(const FormatInfo& f, const Rows& rows) {
  const auto columns = static_cast<std::int64_t>(rows.importance.size());
  std::vector<std::byte> all;
  for (const float* importance : {static_cast<const float*>(nullptr), rows.importance.data()})
    for (const std::vector<float>& x : rows.sets)
      for (std::size_t at = 0; at < x.size(); at += rows.importance.size()) {
        std::vector<std::byte> row(static_cast<std::size_t>(f.row_bytes(columns)));
        kernels().encode[f.index](&x[at], importance, columns, row.data());
        all.insert(all.end(), row.begin(), row.end());
      }
  return all;
}

std::string hash_of_weights(const FormatInfo& f, const std::vector<std::byte>& blocks) {
  const auto n = static_cast<std::int64_t>(blocks.size()) / f.block_bytes * f.block_size;
  std::vector<float> weights(static_cast<std::size_t>(n));
  f.decode(blocks.data(), n, weights.data());
  return sha256(std::as_bytes(std::span(weights)));
}

}  // namespace

TEST_CASE("encoders write the bytes of their version, and another reader sees the same weights in them") {
  const auto json = encoded_json();
  const Rows rows = golden_rows();
  CHECK(json["version"].get<int>() == quantize::encoder_version);
  for (const FormatInfo& f : all_formats()) {
    if (f.index < 0) continue;  // F64 and integers
    INFO(std::string(f.name),
         ": where bytes change on purpose, raise encoder_version and run make_encoded.py");
    REQUIRE(json["formats"].contains(f.name));
    const std::vector<std::byte> blocks = encode_all(f, rows);
    CHECK(sha256(blocks) == json["formats"][f.name]["blocks"].get<std::string>());
    CHECK(hash_of_weights(f, blocks) == json["formats"][f.name]["weights_read_by_gguf"].get<std::string>());
  }
}

TEST_CASE("the hashes above notice one bit") {
  const auto json = encoded_json();
  std::vector<std::byte> blocks = encode_all(*find_format("Q4_K"), golden_rows());
  blocks[20] ^= std::byte{1};
  CHECK(sha256(blocks) != json["formats"]["Q4_K"]["blocks"].get<std::string>());
  CHECK(hash_of_weights(*find_format("Q4_K"), blocks) !=
        json["formats"]["Q4_K"]["weights_read_by_gguf"].get<std::string>());
}

}  // namespace coterie::test
