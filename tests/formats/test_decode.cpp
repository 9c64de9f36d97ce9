// tests/formats/test_decode.cpp: every type against the golden values, every bit of them.
#include "convert/safetensors.h"
#include "formats/formats.h"
#include "gguf/reader.h"
#include "tests/formats/support.h"

#include <doctest/doctest.h>

#include <set>
#include <string>

namespace coterie::test {

namespace {

std::vector<float> decode_all(const gguf::TensorInfo& t) {
  std::vector<float> w(static_cast<std::size_t>(t.elements()));
  t.format->decode(t.data, t.elements(), w.data());
  return w;
}

// The golden file keeps integers as they are.
template <class T>
std::vector<float> as_floats(const convert::SafeTensor& t) {
  std::vector<float> values(t.bytes.size() / sizeof(T));
  for (std::size_t i = 0; i < values.size(); ++i) {
    T value;
    std::memcpy(&value, t.bytes.data() + i * sizeof(T), sizeof(T));
    values[i] = static_cast<float>(value);
  }
  return values;
}

std::vector<float> expected_values(const convert::SafeTensor& t) {
  using convert::Dtype;
  if (t.dtype == Dtype::I8) return as_floats<std::int8_t>(t);
  if (t.dtype == Dtype::I16) return as_floats<std::int16_t>(t);
  if (t.dtype == Dtype::I32) return as_floats<std::int32_t>(t);
  if (t.dtype == Dtype::I64) return as_floats<std::int64_t>(t);
  return as_floats<float>(t);
}

std::ptrdiff_t count_different_bits(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  std::ptrdiff_t different = 0;
  for (std::size_t i = 0; i < a.size(); ++i) different += bits_of(a[i]) != bits_of(b[i]) ? 1 : 0;
  return different;
}

}  // namespace

TEST_CASE("every type decodes to the golden bits") {
  if (!have_golden("quants/all-types.gguf")) return;
  const gguf::Reader file(golden("quants/all-types.gguf"));
  const convert::SafeTensors values(golden("quants/all-types.f32.safetensors"));
  std::set<std::string> seen;
  for (const gguf::TensorInfo& t : file.tensors()) {
    const std::string name(t.name);
    INFO(name);
    CHECK(name == t.format->name);
    // The sixth golden block of MXFP4 has a scale of 2^123, which no weight has.
    CHECK(t.format->legal(t.data, t.elements()) == (name != "MXFP4"));
    if (name == "MXFP4") CHECK(t.format->legal(t.data + 6 * 17, t.elements() - 6 * 32));
    CHECK(count_different_bits(decode_all(t), expected_values(values.get(name))) == 0);
    seen.insert(name);
  }
  for (const FormatInfo& f : all_formats()) CHECK_MESSAGE(seen.count(f.name) == 1, std::string(f.name));
}

TEST_CASE("one flipped bit of a golden block changes the decoded bits") {
  if (!have_golden("quants/all-types.gguf")) return;
  const gguf::Reader file(golden("quants/all-types.gguf"));
  for (const gguf::TensorInfo& t : file.tensors()) {
    if (t.format->index < 0) continue;  // the last bits of an I64 are lost in a float
    INFO(std::string(t.name));
    std::vector<std::byte> damaged(t.data, t.data + t.bytes);
    // The fifth block is the first whose golden scale is neither zero nor subnormal.
    const int at = 4 * t.format->block_bytes + t.format->block_bytes / 2;
    damaged[static_cast<std::size_t>(at)] ^= std::byte{0x10};
    std::vector<float> w(static_cast<std::size_t>(t.elements()));
    t.format->decode(damaged.data(), t.elements(), w.data());
    CHECK(count_different_bits(w, decode_all(t)) > 0);
  }
}

TEST_CASE("the table of formats follows the list, and is found by id and by name") {
  int index = 0;
  for (const FormatInfo& f : all_formats()) {
    CHECK(f.index == (index < Formats::size ? index : -1));
    CHECK((f.activation == ActivationKind::none) == (f.index < 0));
    CHECK(find_format(f.gguf_id) == &f);
    CHECK(find_format(f.name) == &f);
    ++index;
  }
  CHECK(index == Formats::size + 5);
  CHECK(find_format("q4_k") == find_format(12));
  CHECK(find_format(4) == nullptr);  // Q4_2, removed long ago
  CHECK(find_format(1000) == nullptr);
  CHECK(find_format("Q4_Z") == nullptr);
  CHECK(index_of<Q4_K> == find_format("Q4_K")->index);
  CHECK(find_format("IQ4_XS")->row_bytes(512) == 272);
}

}  // namespace coterie::test
