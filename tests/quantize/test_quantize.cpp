// quantize/quantize.h: what comes out is the encoding of what went in, for any number of threads; keys and the rest stay.
#include "quantize/quantize.h"

#include "base/errors.h"
#include "base/json.h"
#include "gguf/writer.h"
#include "kernels/kernels.h"
#include "tests/support/golden.h"
#include "tests/support/scratch_dir.h"
#include "tests/support/sha256.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <random>

namespace coterie::quantize {

namespace {

namespace fs = std::filesystem;

struct Source {
  std::string name;
  std::vector<std::int64_t> shape;
  const char* format;
};

// Gaussian weights, some of them far out.
std::vector<float> weights(std::int64_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> gauss(0.0F, 0.02F);
  std::vector<float> w(static_cast<std::size_t>(n));
  for (float& x : w) x = gauss(random) * (random() % 100 == 0 ? 20.0F : 1.0F);
  return w;
}

std::int64_t elements(const Source& s) {
  std::int64_t n = 1;
  for (const std::int64_t d : s.shape) n *= d;
  return n;
}

// A file of random weights; first_weight, where given, is the first weight of the first tensor.
void write_source(const std::string& path, const std::vector<Source>& tensors,
                  const std::string& architecture = "", std::optional<float> first_weight = {}) {
  gguf::Writer out(path);
  if (!architecture.empty()) out.add_text("general.architecture", architecture);
  for (const Source& s : tensors) out.add_tensor(s.name, s.shape, *find_format(std::string_view(s.format)));
  out.begin_data();
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    std::vector<float> w = weights(elements(tensors[i]), static_cast<unsigned>(i));
    if (i == 0) w[0] = first_weight.value_or(w[0]);
    const FormatInfo& f = *find_format(std::string_view(tensors[i].format));
    std::vector<std::byte> bytes(static_cast<std::size_t>(f.row_bytes(std::ssize(w))));
    f.encode(w.data(), nullptr, std::ssize(w), bytes.data());
    out.write(static_cast<int>(i), 0, bytes);
  }
  out.commit();
}

PlanOptions wanting(const std::string& type, bool pure = false) {
  PlanOptions options;
  options.wish.type = find_type(type, pure);
  options.wish.pure = pure;
  return options;
}

QuantizeOptions doing(const std::string& from, const std::string& to, const PlanOptions& plan,
                      int threads = 2) {
  QuantizeOptions options;
  options.from = from;
  options.to = to;
  options.plan = plan;
  options.threads = threads;
  return options;
}

void run(const std::string& from, const std::string& to, const PlanOptions& plan, int threads = 2) {
  Quantization(doing(from, to, plan, threads)).run();
}

std::string refusal(const std::string& from, const std::string& to, const PlanOptions& options) {
  try {
    run(from, to, options);
  } catch (const Error& e) {
    return e.what();
  }
  return "done";
}

// Encoded row by row by the plain encoders, each row with its matrix's importance.
std::vector<std::byte> expected_bytes(const gguf::TensorInfo& t, const FormatInfo& f,
                                      const std::vector<float>& importance = {}) {
  std::vector<float> row(static_cast<std::size_t>(t.shape[0]));
  std::vector<std::byte> bytes(static_cast<std::size_t>(t.rows() * f.row_bytes(t.shape[0])));
  for (std::int64_t r = 0; r < t.rows(); ++r) {
    t.format->decode(t.data + r * t.row_bytes(), t.shape[0], row.data());
    const float* weight = importance.empty() ? nullptr : importance.data() + r / t.shape[1] * t.shape[0];
    f.encode(row.data(), weight, t.shape[0], bytes.data() + r * f.row_bytes(t.shape[0]));
  }
  return bytes;
}

std::vector<std::byte> bytes_of(const gguf::TensorInfo& t) { return {t.data, t.data + t.bytes}; }

bool same(const std::string& a, const std::string& b) { return test::read_file(a) == test::read_file(b); }

}  // namespace

TEST_CASE("every format that can be written holds the encoding of every source") {
  const test::ScratchDir dir;
  const std::string from = dir.file("in.gguf"), to = dir.file("out.gguf");
  for (const char* source : {"F32", "F16", "BF16"}) {
    write_source(from, {{"blk.0.ffn_up.weight", {512, 37}, source}, {"exps.weight", {256, 5, 3}, source}});
    const gguf::Reader in(from);
    for (const FormatInfo& f : all_formats()) {
      if (f.index < 0 || f.encode == nullptr) continue;
      INFO(std::string(source), " to ", std::string(f.name));
      run(from, to, wanting(f.name, true));
      const gguf::Reader out(to);
      for (const gguf::TensorInfo& t : in.tensors()) {
        REQUIRE(out.find_tensor(t.name)->format == &f);
        CHECK((bytes_of(*out.find_tensor(t.name)) == expected_bytes(t, f)));
      }
    }
  }
}

TEST_CASE("an importance matrix weighs each expert by its own row") {
  const test::ScratchDir dir;
  const std::string from = dir.file("in.gguf"), to = dir.file("out.gguf");
  write_source(from, {{"a.weight", {256, 4, 3}, "BF16"}, {"b.weight", {256, 9}, "BF16"}});
  const std::vector<float> importance = weights(3 * 256, 7);
  std::vector<double> sums;
  std::vector<float> mean;
  for (const float x : importance) {
    mean.push_back(std::abs(x));
    sums.push_back(double{std::abs(x)} * 2);
  }
  const std::vector<std::int64_t> counts(3, 2);
  const ImportanceSums entry{"a.weight", sums, counts};
  write_importance(dir.file("i.gguf"), {{"text"}, 5, 512, {}}, std::span(&entry, 1));

  const ImportanceMatrix matrix(dir.file("i.gguf"));
  PlanOptions options = wanting("Q4_K");
  options.importance = &matrix;
  const gguf::Reader in(from);
  run(from, to, options);
  const gguf::Reader out(to);
  const FormatInfo& f = *find_format("Q4_K");
  CHECK((bytes_of(out.tensors()[0]) == expected_bytes(in.tensors()[0], f, mean)));
  CHECK((bytes_of(out.tensors()[1]) == expected_bytes(in.tensors()[1], f)));
  CHECK(out.text("quantize.imatrix.file") == dir.file("i.gguf"));
  CHECK(out.text("quantize.imatrix.dataset") == "text");
  CHECK(out.integer("quantize.imatrix.entries_count", 0, 9) == 1);
  CHECK(out.integer("quantize.imatrix.chunks_count", 0, 9) == 5);
  const std::vector<std::string> warnings = make_plan(in, options).warnings;
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0] == "b.weight: " + dir.file("i.gguf") + " has no entry, all weights count alike");
}

TEST_CASE("the number of threads changes no byte") {
  const test::ScratchDir dir;
  const std::string from = dir.file("in.gguf");
  write_source(from, {{"a.weight", {768, 2000}, "BF16"}, {"b.weight", {256, 300, 5}, "BF16"}});
  run(from, dir.file("1"), wanting("Q4_K_M"), 1);
  for (const int threads : {2, 3, 8}) {
    run(from, dir.file("n"), wanting("Q4_K_M"), threads);
    CHECK(same(dir.file("1"), dir.file("n")));
  }
}

TEST_CASE("keys stay, but for those that say how the file was made") {
  const test::ScratchDir dir;
  const std::string from = test::golden("gguf/v3-yarn.gguf"), to = dir.file("out.gguf");
  if (!test::full_golden() && !fs::exists(from)) return;
  run(from, to, wanting("Q8_0"));
  const gguf::Reader in(from), out(to);
  std::vector<std::string> keys, expected;
  for (const auto& [key, value] : in.keys())
    if (key != "general.file_type" && key != "general.quantization_version") {
      expected.emplace_back(key);
      const gguf::Value* kept = out.find(key);
      REQUIRE(kept != nullptr);
      CHECK(std::ranges::equal(kept->bytes, value.bytes));
    }
  expected.insert(expected.end(), {"general.quantization_version", "general.file_type"});
  for (const auto& [key, value] : out.keys()) keys.emplace_back(key);
  CHECK(keys == expected);
  CHECK(out.integer("general.file_type", 0, 99) == 7);
  CHECK(out.tensors().size() == in.tensors().size());
}

TEST_CASE("the simple formats are those of llama.cpp's quantizer, bit for bit") {
  const test::ScratchDir dir;
  const std::string from = test::golden("gguf/v3-yarn.gguf"), to = dir.file("out.gguf");
  for (const char* mix : {"Q8_0", "Q4_0", "Q4_K_M", "Q5_K_M"}) {  // rows too short for K formats: Q5_0, Q5_1
    const std::string manifest = "gguf/quantized-manifests/v3-yarn." + std::string(mix) + ".json";
    if (!test::full_golden() && !fs::exists(test::golden(manifest))) {
      std::printf("skipped: the compact golden set has no %s\n", manifest.c_str());
      continue;
    }
    run(from, to, wanting(mix));
    const gguf::Reader out(to);
    const auto json = read_json(test::golden(manifest), {1 << 20, 8});
    CHECK(json["tensors"].size() == out.tensors().size());
    for (const auto& t : json["tensors"]) {
      const std::string name = t["name"];
      INFO(std::string(mix), " ", name);
      CHECK(test::sha256(bytes_of(*out.find_tensor(name))) == t["sha256"].get<std::string>());
    }
  }
}

TEST_CASE("a split source is the same source") {
  const test::ScratchDir dir;
  const std::string whole = dir.file("in.gguf"), parts = dir.file("parts.gguf");
  write_source(whole, {{"a", {256, 40}, "BF16"}, {"b", {256, 50}, "BF16"}, {"c", {512, 30}, "F32"}});
  const gguf::Reader in(whole);
  gguf::Writer out(parts, 40000);
  for (const gguf::TensorInfo& t : in.tensors())
    out.add_tensor(t.name, std::span(t.shape).first(static_cast<std::size_t>(t.n_dims)), *t.format);
  out.begin_data();
  for (std::size_t i = 0; i < 3; ++i) out.write(static_cast<int>(i), 0, bytes_of(in.tensors()[i]));
  REQUIRE(out.paths().size() == 3);
  out.commit();
  run(whole, dir.file("1"), wanting("Q4_K"));
  run(out.paths()[0], dir.file("2"), wanting("Q4_K"));
  CHECK(same(dir.file("1"), dir.file("2")));
}

TEST_CASE("a target in parts has the same tensors") {
  const test::ScratchDir dir;
  const std::string from = dir.file("in.gguf");
  write_source(from, {{"a", {256, 40}, "BF16"}, {"b", {256, 50}, "BF16"}, {"c", {512, 30}, "F32"}});
  run(from, dir.file("whole.gguf"), wanting("Q8_0"));
  QuantizeOptions options = doing(from, dir.file("parts.gguf"), wanting("Q8_0"));
  options.split_bytes = 20000;
  Quantization quantization(options);
  quantization.run();
  REQUIRE(quantization.file().paths().size() == 3);
  const gguf::Reader whole(dir.file("whole.gguf")), parts(quantization.file().paths()[0]);
  REQUIRE(parts.tensors().size() == 3);
  for (const gguf::TensorInfo& t : whole.tensors())
    CHECK((bytes_of(t) == bytes_of(*parts.find_tensor(t.name))));
}

// Stops after the first strip, an eighth of the tensor, which a journal without batches has recorded.
TEST_CASE("work that was stopped goes on under the same options only") {
  const test::ScratchDir dir;
  const std::string from = dir.file("in.gguf"), to = dir.file("out.gguf");
  write_source(from, {{"a", {4096, 200}, "BF16"}, {"b", {256, 50}, "BF16"}});
  run(from, dir.file("whole.gguf"), wanting("Q4_K"));

  QuantizeOptions options = doing(from, to, wanting("Q4_K"), 1);
  options.facts = {{"--type", "Q4_K"}};
  options.journal.batch_bytes = 1;
  options.progress = [](std::uint64_t done, std::uint64_t total) {
    CHECK(done < total);
    throw Error("stopped");
  };
  CHECK_THROWS_WITH_AS(Quantization(options).run(),
                       "stopped; what is done is kept, the same command goes on from there", Error);
  CHECK(!fs::exists(to));
  CHECK(fs::exists(to + ".partial"));

  QuantizeOptions other = options;
  other.facts[0].second = "Q8_0";
  CHECK_THROWS_AS(Quantization(other).run(), UsageError);

  std::uint64_t found = 0;
  options.progress = {};
  options.journal.verifying = [&](std::uint64_t, std::uint64_t total) { found = total; };
  options.threads = 3;
  Quantization(options).run();
  CHECK(found == 25 * 4096 / 256 * 144);
  CHECK(same(to, dir.file("whole.gguf")));
  CHECK(!fs::exists(to + ".journal"));
}

TEST_CASE("what has lost precision is not quantised again unless asked") {
  const test::ScratchDir dir;
  const std::string from = dir.file("in.gguf"), to = dir.file("out.gguf");
  write_source(from, {{"a.weight", {256, 4}, "Q8_0"}, {"b.weight", {256, 4}, "BF16"}});
  CHECK(refusal(from, to, wanting("Q4_K")) ==
        from +
            ": tensor a.weight: is Q8_0 already, and Q4_K on top of that loses twice; start from F32, F16 or "
            "BF16, or say --allow-requantize");
  CHECK(!fs::exists(to));
  PlanOptions options = wanting("Q4_K");
  options.allow_requantize = true;
  CHECK(refusal(from, to, options) == "done");
  const gguf::Reader in(from);
  CHECK((bytes_of(*gguf::Reader(to).find_tensor("a.weight")) ==
         expected_bytes(in.tensors()[0], *find_format("Q4_K"))));

  CHECK(refusal(from, to, wanting("Q8_0")) == "done");  // already what is wanted: copied
  CHECK((bytes_of(*gguf::Reader(to).find_tensor("a.weight")) == bytes_of(in.tensors()[0])));
  CHECK(refusal(from, to, wanting("F32")) == "done");  // loses nothing more
}

TEST_CASE("a weight that is no number is an error, and no file appears") {
  const test::ScratchDir dir;
  const std::string from = dir.file("in.gguf"), to = dir.file("out.gguf");
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    write_source(from, {{"a.weight", {256, 4}, "F32"}}, "", bad);
    CHECK(refusal(from, to, wanting("Q8_0")) == "tensor a.weight: a weight is no finite number");
    CHECK(!fs::exists(to));
    CHECK(!fs::exists(to + ".partial"));
    CHECK(!fs::exists(to + ".journal"));
  }
}

TEST_CASE("warnings name what was done otherwise, once per kind") {
  const test::ScratchDir dir;
  const std::string from = dir.file("in.gguf");
  write_source(from,
               {{"blk.0.ffn_up.weight", {96, 4}, "BF16"},
                {"blk.1.ffn_up.weight", {96, 4}, "BF16"},
                {"blk.2.ffn_up.weight", {100, 4}, "BF16"}},
               "no-such");
  const gguf::Reader file(from);
  const std::vector<std::string> expected{
      "architecture no-such: its tensors are not known, Q4_K for every matrix",
      "blk.2.ffn_up.weight: rows of 100 are no whole blocks of Q4_K, F16 instead",
      "2 tensors, blk.0.ffn_up.weight and on: rows of 96 are no whole blocks of Q4_K, Q5_0 instead"};
  CHECK(make_plan(file, wanting("Q4_K_M")).warnings == expected);
}

TEST_CASE("the input is not written over") {
  const test::ScratchDir dir;
  const std::string from = dir.file("in.gguf");
  write_source(from, {{"a", {256, 4}, "BF16"}});
  const std::vector<std::byte> before = test::read_file(from);
  CHECK(refusal(from, from, wanting("Q8_0")) == from + ": is the input; the output needs a name of its own");
  CHECK((test::read_file(from) == before));
}

TEST_CASE("one tensor and no key is a file too") {
  const test::ScratchDir dir;
  const std::string from = dir.file("in.gguf"), to = dir.file("out.gguf");
  write_source(from, {{"x", {512, 6}, "F32"}});
  run(from, to, wanting("Q4_K", true));
  const gguf::Reader in(from), out(to);
  REQUIRE(out.tensors().size() == 1);
  CHECK((bytes_of(out.tensors()[0]) == expected_bytes(in.tensors()[0], *find_format("Q4_K"))));
}

}  // namespace coterie::quantize
