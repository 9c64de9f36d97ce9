// Importance matrices: what is written is read back, foreign forms mean the same, broken files end in one line.
#include "quantize/imatrix.h"

#include "base/errors.h"
#include "gguf/writer.h"
#include "tests/gguf/raw_file.h"
#include "tests/support/scratch_dir.h"

#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <functional>
#include <limits>

namespace coterie::test {

using quantize::ImportanceMatrix;

namespace {

using Floats = std::vector<float>;

std::string complaint_of(const std::string& path) {
  try {
    const ImportanceMatrix file(path);
  } catch (const FileError& e) {
    return e.what();
  }
  return "accepted";
}

// A plain matrix, a stack of three experts of which the middle one was never reached, and a stack by head.
void write_sample(const std::string& path) {
  const std::vector<double> plain{2, 4}, experts{1, 2, 0, 0, 30, 60}, heads{8, 16, 24, 32};
  const std::vector<std::int64_t> two{2}, counts{1, 0, 10}, eight{8};
  const std::vector<quantize::ImportanceSums> sums{{"blk.0.attn_q.weight", plain, two},
                                                   {"blk.0.ffn_up_exps.weight", experts, counts},
                                                   {"blk.0.attn_k_b.weight", heads, eight}};
  write_importance(path, {{"book.txt"}, 7, 512, {{"blk.0.ffn_up_exps.weight", 2, 9}}}, sums);
}

RawFile dat_entry(std::string_view name, std::int32_t calls, const Floats& values) {
  RawFile f;
  f.put(static_cast<std::int32_t>(name.size()));
  for (const char c : name) f.put(c);
  f.put(calls).put(static_cast<std::int32_t>(values.size()));
  for (const float v : values) f.put(v);
  return f;
}

RawFile dat(std::int32_t n_entries, const std::vector<RawFile>& parts) {
  RawFile f;
  f.put(n_entries);
  for (const RawFile& p : parts) f.bytes.insert(f.bytes.end(), p.bytes.begin(), p.bytes.end());
  return f;
}

RawFile sample_dat() {
  RawFile end;
  end.put<std::int32_t>(5).put<std::int32_t>(8);
  for (const char c : std::string_view("book.txt")) end.put(c);
  return dat(2, {dat_entry("blk.0.attn_q.weight", 5, {10, 20}), dat_entry("up", 2, {2, 4, 6, 8}), end});
}

// A file with the tensors given, all one row of F32.
void write_tensors(const std::string& path, const std::vector<std::pair<std::string, Floats>>& tensors,
                   const std::string& type = "imatrix") {
  gguf::Writer file(path);
  file.add_text("general.type", type);
  std::vector<int> ids;
  for (const auto& [name, values] : tensors) {
    const std::array shape{static_cast<std::int64_t>(values.size())};
    ids.push_back(file.add_tensor(name, shape, *find_format("F32")));
  }
  file.begin_data();
  for (std::size_t i = 0; i < ids.size(); ++i)
    file.write(ids[i], 0, std::as_bytes(std::span(tensors[i].second)));
  file.commit();
}

}  // namespace

TEST_CASE("what was written is read back as means") {
  const ScratchDir folder;
  write_sample(folder.file("x.gguf"));
  const ImportanceMatrix m(folder.file("x.gguf"));
  CHECK(m.weights("blk.0.attn_q.weight", 2) == Floats{1, 2});
  CHECK(m.weights("blk.0.ffn_up_exps.weight", 2, 0) == Floats{1, 2});
  CHECK(m.weights("blk.0.ffn_up_exps.weight", 2, 2) == Floats{3, 6});
  CHECK(m.weights("blk.0.attn_k_b.weight", 2, 0) == Floats{1, 2});
  CHECK(m.weights("blk.0.attn_k_b.weight", 2, 1) == Floats{3, 4});
  CHECK(m.tokens("blk.0.attn_q.weight") == 2);
  CHECK(m.tokens("blk.0.ffn_up_exps.weight", 2) == 10);
  CHECK(m.tokens("blk.0.attn_k_b.weight", 1) == 8);
  CHECK(m.weights("blk.1.attn_q.weight", 2).empty());
  CHECK(m.tokens("blk.1.attn_q.weight") == 0);
  CHECK(m.datasets() == std::vector<std::string>{"book.txt"});
  CHECK(m.chunk_count() == 7);
  CHECK(m.chunk_size() == 512);
  CHECK(m.names().size() == 3);
  REQUIRE(m.forced().size() == 1);
  CHECK(m.forced()[0].tensor == "blk.0.ffn_up_exps.weight");
  CHECK(m.forced()[0].expert == 2);
  CHECK(m.forced()[0].tokens == 9);
}

TEST_CASE("an expert without tokens gets the mean of the others") {
  const ScratchDir folder;
  write_sample(folder.file("x.gguf"));
  const ImportanceMatrix m(folder.file("x.gguf"));
  CHECK(m.tokens("blk.0.ffn_up_exps.weight", 1) == 0);
  CHECK(m.weights("blk.0.ffn_up_exps.weight", 2, 1) == Floats{2, 4});

  write_tensors(folder.file("none.gguf"), {{"a.in_sum2", {0, 0}}, {"a.counts", {0}}});
  CHECK(ImportanceMatrix(folder.file("none.gguf")).weights("a", 2).empty());
}

TEST_CASE("an entry of another shape is refused, naming the tensor") {
  const ScratchDir folder;
  write_sample(folder.file("x.gguf"));
  const ImportanceMatrix m(folder.file("x.gguf"));
  CHECK_THROWS_AS(m.weights("blk.0.attn_q.weight", 3), ModelError);
  CHECK_THROWS_AS(m.weights("blk.0.ffn_up_exps.weight", 2, 3), ModelError);
  CHECK_THROWS_AS(m.weights("blk.0.ffn_up_exps.weight", 2, -1), ModelError);
  CHECK_THROWS_AS(m.weights("blk.0.ffn_up_exps.weight", 4, 0), ModelError);
  CHECK_THROWS_AS(m.weights("blk.0.ffn_up_exps.weight", 0, 0), ModelError);
  // One importance serves every matrix of a stack.
  CHECK(m.weights("blk.0.attn_q.weight", 2, 5) == Floats{1, 2});
}

TEST_CASE("the old .dat form reads as the same means, with and without its end") {
  const ScratchDir folder;
  RawFile f = sample_dat();
  write_file(folder.file("x.dat"), f.bytes);
  const ImportanceMatrix m(folder.file("x.dat"));
  CHECK(m.weights("blk.0.attn_q.weight", 2) == Floats{2, 4});
  CHECK(m.weights("up", 2, 0) == Floats{1, 2});
  CHECK(m.weights("up", 2, 1) == Floats{3, 4});
  CHECK(m.tokens("up") == 0);
  CHECK(m.chunk_count() == 5);
  CHECK(m.datasets() == std::vector<std::string>{"book.txt"});

  f.bytes.resize(f.bytes.size() - 16);
  write_file(folder.file("early.dat"), f.bytes);
  CHECK(ImportanceMatrix(folder.file("early.dat")).weights("up", 2, 1) == Floats{3, 4});
}

TEST_CASE("no truncation of a .dat file is accepted, but where early files end") {
  const ScratchDir folder;
  const RawFile whole = sample_dat();
  int accepted = 0;
  for (std::size_t n = 0; n < whole.bytes.size(); ++n) {
    write_file(folder.file("x.dat"), std::span(whole.bytes).first(n));
    const std::string got = complaint_of(folder.file("x.dat"));
    if (got == "accepted") ++accepted;
    INFO(n, ": ", got);
    CHECK((got == "accepted" || got.starts_with(folder.file("x.dat") + ": ")));
  }
  CHECK(accepted == 2);  // before the number of chunks, and before the dataset
}

TEST_CASE("a malformed .dat file ends in one line") {
  const ScratchDir folder;
  const auto refused = [&](const RawFile& f, const std::string& why) {
    write_file(folder.file("x.dat"), f.bytes);
    const std::string got = complaint_of(folder.file("x.dat"));
    INFO(got);
    CHECK(got.find(why) != std::string::npos);
    CHECK(got.find('\n') == std::string::npos);
  };
  refused(dat(0, {}), "entry count 0");
  refused(dat(-1, {}), "entry count -1");
  refused(dat(1 << 30, {}), "entry count 1073741824");
  refused(dat(1, {RawFile().put<std::int32_t>(1 << 30)}), "length of a name");
  refused(dat(1, {RawFile().put<std::int32_t>(-5)}), "length of a name");
  RawFile huge =
      RawFile().put<std::int32_t>(1).put('a').put<std::int32_t>(1).put<std::int32_t>(2'000'000'000);
  refused(dat(1, {huge}), "8000000000 bytes");
  refused(dat(1, {dat_entry("a", -1, {1})}), "number of calls -1");
  refused(dat(1, {dat_entry("a", 1, {})}), "number of values 0");
  refused(dat(2, {dat_entry("a", 1, {1}), dat_entry("a", 1, {1})}), "found twice");
  refused(dat(1, {dat_entry("a", 1, {-1})}), "expected a finite number");
  refused(dat(1, {dat_entry("a", 1, {std::numeric_limits<float>::quiet_NaN()})}), "expected a finite number");
  refused(dat(1, {dat_entry("a", 1, {1}), RawFile().put<std::int32_t>(1).put<std::int32_t>(1 << 30)}),
          "length of the dataset");
}

TEST_CASE("a malformed GGUF file ends in one line") {
  const ScratchDir folder;
  const std::string path = folder.file("x.gguf");
  const auto refused = [&](const std::string& why) {
    const std::string got = complaint_of(path);
    INFO(got);
    CHECK(got.starts_with(path + ": "));
    CHECK(got.find(why) != std::string::npos);
    CHECK(got.find('\n') == std::string::npos);
  };
  write_tensors(path, {{"a.in_sum2", {1, 2}}, {"a.counts", {1}}});
  CHECK(complaint_of(path) == "accepted");
  write_tensors(path, {{"a.in_sum2", {1, 2}}, {"a.counts", {1}}}, "model");
  refused("found \"model\"");
  write_tensors(path, {{"a.weight", {1, 2}}});
  refused("expected an importance matrix");
  write_tensors(path, {{"a.in_sum2", {1, 2}}});
  refused("found sums alone");
  write_tensors(path, {{"a.counts", {1, 2}}});
  refused("found counts alone");
  write_tensors(path, {{"a.in_sum2", {1, 2, 3}}, {"a.counts", {1, 1}}});
  refused("found 3 sums and 2 counts");
  write_tensors(path, {{"a.in_sum2", {1, -2}}, {"a.counts", {1}}});
  refused("sum 1: found -2");
  write_tensors(path, {{"a.in_sum2", {1, std::numeric_limits<float>::infinity()}}, {"a.counts", {1}}});
  refused("sum 1: found inf");
  write_tensors(path, {{"a.in_sum2", {1, 2}}, {"a.counts", {-1}}});
  refused("count of -1");

  gguf::Writer half(path);
  const std::array shape{std::int64_t{2}};
  const int id = half.add_tensor("a.in_sum2", shape, *find_format("F16"));
  half.begin_data();
  half.write(id, 0, std::as_bytes(std::span("four", 4)));
  half.commit();
  refused("found type F16");

  write_file(path, std::as_bytes(std::span("GGUF", 4)));
  refused("byte 4");
}

TEST_CASE("own keys that do not belong together are refused") {
  const ScratchDir folder;
  gguf::Writer file(folder.file("x.gguf"));
  const std::vector<std::string> tensors{"a"};
  file.add_texts("coterie.imatrix.forced.tensors", tensors);
  file.add_array<std::uint32_t>("coterie.imatrix.forced.experts", {});
  file.add_array<std::uint32_t>("coterie.imatrix.forced.tokens", {});
  file.begin_data();
  file.commit();
  CHECK(complaint_of(folder.file("x.gguf")).find("expected as many of each") != std::string::npos);
}

}  // namespace coterie::test
