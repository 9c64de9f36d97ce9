// tests/convert/test_convert.cpp: our files against llama.cpp's, tensor by tensor and byte by byte.
#include "convert/convert.h"

#include "base/errors.h"
#include "base/half.h"
#include "gguf/reader.h"
#include "tests/convert/checkpoint.h"
#include "tests/convert/has.h"
#include "tests/convert/manifest.h"
#include "tests/support/golden.h"
#include "tests/support/scratch_dir.h"

#include <doctest/doctest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <algorithm>
#include <csignal>
#include <cstring>

namespace coterie::convert {

namespace {

namespace fs = std::filesystem;
using test::has;
using test::ScratchDir;

ConvertOptions options_for(const std::string& model, const std::string& to, const char* type) {
  ConvertOptions options;
  options.from = test::golden("models/" + model);
  options.to = to;
  options.types = one_type(*find_format(std::string_view(type)));
  return options;
}

void run(const std::string& model, const std::string& to, const char* type, Mtp mtp = Mtp::separate) {
  ConvertOptions options = options_for(model, to, type);
  options.mtp = mtp;
  convert(options);
}

// The error of a conversion; empty: there is none.
std::string failure(const ConvertOptions& options, int code = 0) {
  try {
    convert(options);
    return "";
  } catch (const Error& e) {
    if (code != 0) CHECK(e.exit_code() == code);
    return e.what();
  }
}

std::vector<std::string> files_in(const ScratchDir& dir) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(dir.file(""))) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

std::string all(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

std::vector<float> values(const gguf::TensorInfo& t) {
  std::vector<float> v(static_cast<std::size_t>(t.elements()));
  t.format->decode(t.data, t.elements(), v.data());
  return v;
}

// What convert() would do, up to the point where a test plants its error.
Plan plan_of(const std::string& model, const SafeTensors& checkpoint) {
  return make_plan(test::golden("models/" + model), checkpoint, one_type(*find_format("BF16")));
}

PlannedTensor& tensor(Plan& plan, const std::string& name) {
  for (PlannedTensor& t : plan.model.tensors)
    if (t.name == name) return t;
  throw std::runtime_error(name + ": not planned");
}

const char* const models[] = {"v3-fp8-mtp",       "v3-yarn",          "v2-lite",  "v2",
                              "r1-distill-llama", "r1-distill-qwen2", "qwen3-moe"};

}  // namespace

TEST_CASE("keys and tensors equal llama.cpp's, in order, type, shape, offset and bytes") {
  const ScratchDir dir;
  for (const std::string model : models) {
    if (!has("gguf/" + model + ".manifest.json") || !has("models/" + model)) continue;
    const std::string out = dir.file(model + ".gguf");
    run(model, out, "BF16");
    const gguf::Reader file(out);
    const std::string lines = all(test::differences(file, test::golden("gguf/" + model + ".manifest.json")));
    CHECK_MESSAGE(lines.empty(), lines);
    CHECK(fs::exists(mtp_path(out)) == (model == "v3-fp8-mtp"));
    CHECK(!fs::exists(out + ".partial"));
  }
}

TEST_CASE("the files that llama.cpp wrote come out byte for byte") {
  const ScratchDir dir;
  for (const std::string model : {"v3-yarn", "r1-distill-llama"}) {
    if (!has("gguf/" + model + ".gguf") || !has("models/" + model)) continue;
    run(model, dir.file("out.gguf"), "BF16");
    CHECK(test::read_file(dir.file("out.gguf")) == test::read_file(test::golden("gguf/" + model + ".gguf")));
  }
}

TEST_CASE("Q8_0 files have the tensors of llama.cpp's quantizer") {
  const ScratchDir dir;
  for (const std::string model : {"v3-yarn", "v2", "r1-distill-qwen2", "qwen3-moe"}) {
    const std::string manifest = "gguf/quantized-manifests/" + model + ".Q8_0.json";
    if (!has(manifest) || !has("models/" + model)) continue;
    run(model, dir.file("out.gguf"), "Q8_0");
    const std::string lines =
        all(test::tensor_differences(gguf::Reader(dir.file("out.gguf")), test::golden(manifest)));
    CHECK_MESSAGE(lines.empty(), lines);
    CHECK(gguf::Reader(dir.file("out.gguf")).integer("general.file_type", 0, 100) == 7);
  }
}

TEST_CASE("F32 keeps every value of the checkpoint, F16 rounds it once") {
  const ScratchDir dir;
  for (const std::string model : {"v3-fp8-mtp", "r1-distill-llama"}) {
    if (!has("models/" + model)) continue;
    for (const char* type : {"F32", "BF16", "F16"})
      run(model, dir.file(std::string(type) + ".gguf"), type, Mtp::none);
    const gguf::Reader exact(dir.file("F32.gguf")), bf16(dir.file("BF16.gguf")), f16(dir.file("F16.gguf"));
    for (const gguf::TensorInfo& t : exact.tensors()) {
      INFO(model, " ", std::string(t.name));
      CHECK(std::string(t.format->name) == "F32");
      const std::vector<float> want = values(t), half = values(*f16.find_tensor(t.name)),
                               b = values(*bf16.find_tensor(t.name));
      const bool rounded = std::string(f16.find_tensor(t.name)->format->name) == "F16";
      std::size_t wrong = 0;
      for (std::size_t i = 0; i < want.size(); ++i) {
        wrong += half[i] != (rounded ? half_to_float(float_to_half(want[i])) : want[i]);
        wrong += b[i] != (rounded ? bf16_to_float(float_to_bf16(want[i])) : want[i]);
      }
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("FP8 blocks, those at the edge included, are multiplied by their scales") {
  if (!has("numbers/numbers.safetensors")) return;
  const SafeTensors numbers(test::golden("numbers/numbers.safetensors"));
  SafeTensor weight = numbers.get("fp8_block.weight");
  weight.dtype = Dtype::F8_E4M3;
  const std::vector<float> expected = to_float(numbers.get("fp8_block.expected"));
  Weights w{&weight, &numbers.get("fp8_block.scale"), 200, 128, 128};
  std::vector<float> row(200);
  const auto wrong = [&] {
    std::size_t n = 0;
    for (std::int64_t r = 0; r < 300; ++r) {
      w.read(r, 0, 200, row.data());
      for (std::size_t i = 0; i < 200; ++i)
        n += bits_of(row[i]) != bits_of(expected[static_cast<std::size_t>(r) * 200 + i]);
    }
    return n;
  };
  CHECK(wrong() == 0);
  float one = 0;
  w.read(299, 199, 1, &one);
  CHECK(one == expected.back());
  w.scale_columns = 100;  // planted: blocks of another width
  CHECK(wrong() > 0);
}

TEST_CASE("a planted error in a layout is seen by the comparison with llama.cpp") {
  if (!has("models/r1-distill-llama") || !has("gguf/r1-distill-llama.manifest.json") ||
      !has("models/v3-yarn") || !has("gguf/v3-yarn.manifest.json"))
    return;
  const ScratchDir dir;
  const auto lines = [&](const std::string& model, const FilePlan& plan) {
    write_file(dir.file("out.gguf"), plan);
    return test::differences(gguf::Reader(dir.file("out.gguf")),
                             test::golden("gguf/" + model + ".manifest.json"))
        .size();
  };
  {
    const SafeTensors checkpoint(test::golden("models/r1-distill-llama"));
    Plan plan = plan_of("r1-distill-llama", checkpoint);
    tensor(plan, "blk.1.attn_k.weight").source.layout = Layout::plain;  // rows not permuted
    CHECK(lines("r1-distill-llama", plan.model) == 1);
    plan = plan_of("r1-distill-llama", checkpoint);
    tensor(plan, "rope_freqs.weight").source.computed[2] *= 1.0000002F;
    CHECK(lines("r1-distill-llama", plan.model) == 1);
  }
  const SafeTensors checkpoint(test::golden("models/v3-yarn"));
  Plan plan = plan_of("v3-yarn", checkpoint);
  CHECK(lines("v3-yarn", plan.model) == 0);
  // The keys of a head as they are, not transposed: row by row the first halves of kv_b.
  SourceTensor& keys = tensor(plan, "blk.0.attn_k_b.weight").source;
  const std::vector<float> kv_b = to_float(checkpoint.get("model.layers.0.self_attn.kv_b_proj.weight"));
  for (std::size_t head = 0; head < 4; ++head)
    keys.computed.insert(keys.computed.end(), kv_b.begin() + static_cast<std::ptrdiff_t>(head * 80 * 64),
                         kv_b.begin() + static_cast<std::ptrdiff_t>((head * 80 + 32) * 64));
  CHECK(lines("v3-yarn", plan.model) == 1);
  plan = plan_of("v3-yarn", checkpoint);
  std::vector<Weights>& experts = tensor(plan, "blk.3.ffn_up_exps.weight").source.parts;
  std::swap(experts[2], experts[3]);
  CHECK(lines("v3-yarn", plan.model) == 1);
  plan = plan_of("v3-yarn", checkpoint);
  std::swap(plan.model.keys[2], plan.model.keys[3]);  // the order of keys counts
  CHECK(lines("v3-yarn", plan.model) == 2);
}

TEST_CASE("the multi-token-prediction layer goes to a file of its own, or nowhere") {
  if (!has("models/v3-fp8-mtp")) return;
  const ScratchDir dir;
  const std::string out = dir.file("model.gguf");
  CHECK(mtp_path(out) == dir.file("model.mtp.gguf"));
  run("v3-fp8-mtp", out, "F32", Mtp::none);
  CHECK(!fs::exists(mtp_path(out)));
  run("v3-fp8-mtp", out, "F32");
  const gguf::Reader file(mtp_path(out)), model(out);
  CHECK(file.text("general.architecture") == "deepseek2");
  CHECK(file.integer("deepseek2.block_count", 0, 100) == 3);
  CHECK(file.integer("deepseek2.nextn_predict_layers", 0, 100) == 1);
  CHECK(model.integer("deepseek2.block_count", 0, 100) == 2);
  CHECK(!model.has("deepseek2.nextn_predict_layers"));
  for (const char* name :
       {"eh_proj", "enorm", "hnorm", "embed_tokens", "shared_head_norm", "shared_head_head"})
    CHECK(file.find_tensor(std::string("blk.2.nextn.") + name + ".weight") != nullptr);
  CHECK(file.tensors().size() == 24);
  for (const gguf::TensorInfo& t : file.tensors()) CHECK(std::string(t.name).starts_with("blk.2."));
  for (const gguf::TensorInfo& t : model.tensors()) CHECK(!std::string(t.name).starts_with("blk.2."));

  // The release has the embedding twice, and an expert where the checkpoint has it.
  CHECK(values(*file.find_tensor("blk.2.nextn.embed_tokens.weight")) ==
        values(*model.find_tensor("token_embd.weight")));
  const SafeTensors checkpoint(test::golden("models/v3-fp8-mtp"));
  const Weights expert{&checkpoint.get("model.layers.2.mlp.experts.5.up_proj.weight"),
                       &checkpoint.get("model.layers.2.mlp.experts.5.up_proj.weight_scale_inv"), 256, 128,
                       128};
  std::vector<float> row(256);
  expert.read(77, 0, 256, row.data());
  const std::vector<float> got = values(*file.find_tensor("blk.2.ffn_up_exps.weight"));
  CHECK(std::equal(row.begin(), row.end(), got.begin() + (5 * 256 + 77) * 256));
}

TEST_CASE("rows that a type's blocks do not fit get another type, with a note") {
  if (!has("models/v2-lite")) return;
  const SafeTensors checkpoint(test::golden("models/v2-lite"));
  const HfConfig config = read_hf_config(test::golden("models/v2-lite"));
  const Plan plan = plan_tensors(config, checkpoint, one_type(*find_format("Q4_K")), Mtp::separate);
  std::size_t fallbacks = 0;
  for (const PlannedTensor& t : plan.model.tensors) {
    const std::string format = t.format->name;
    CHECK(format == (t.exact ? "F32" : t.shape[0] % 256 == 0 ? "Q4_K" : "Q5_0"));
    fallbacks += format == "Q5_0" ? 1 : 0;
  }
  CHECK(fallbacks > 3);
  CHECK(plan.notes.size() == 4);  // one per length of rows
  CHECK(std::ranges::count(plan.notes,
                           "2 tensors, as blk.1.ffn_down_exps.weight: rows of 96 are no whole Q4_K blocks, "
                           "written as Q5_0") == 1);
}

TEST_CASE("a plan takes the types from a function of all tensors") {
  if (!has("models/v2-lite")) return;
  const SafeTensors checkpoint(test::golden("models/v2-lite"));
  TypeChoice types;
  types.formats = [](const HfConfig& config, std::span<const PlannedTensor> tensors) {
    CHECK(config.layers == 3);
    std::vector<const FormatInfo*> formats;
    for (const PlannedTensor& t : tensors)
      formats.push_back(t.name.ends_with("_exps.weight") ? find_format("Q4_0") : t.format);
    return formats;
  };
  for (const PlannedTensor& t :
       plan_tensors(read_hf_config(test::golden("models/v2-lite")), checkpoint, types, Mtp::none)
           .model.tensors) {
    const bool expert = t.name.ends_with("_exps.weight");
    CHECK(std::string(t.format->name) == (expert ? "Q4_0" : t.exact ? "F32" : "BF16"));
  }
}

TEST_CASE(
    "a conversion that is stopped goes on where it was, whatever its type, and what was there stays till "
    "then") {
  if (!has("models/v3-fp8-mtp")) return;
  const ScratchDir dir, whole;
  for (const char* type : {"BF16", "Q4_0"}) {
    run("v3-fp8-mtp", whole.file("model.gguf"), type);
    const std::string out = dir.file("model.gguf");
    test::write_file(out, std::as_bytes(std::span("old", 3)));
    ConvertOptions options = options_for("v3-fp8-mtp", out, type);
    options.journal.batch_bytes = 100000;
    std::uint64_t most = 0;
    for (int runs = 0; runs < 4; ++runs) {
      int calls = 0;
      std::uint64_t first = 0;
      const std::uint64_t before = most;
      options.progress = [&](std::uint64_t done, std::uint64_t total) {
        CHECK(done <= total);
        if (first == 0) first = done;
        if (++calls == 10) throw Error("stopped", 130);
        most = done;
      };
      CHECK(failure(options) == "stopped; what is done is kept, the same command goes on from there");
      CHECK(test::read_file(out).size() == 3);
      CHECK(first > before);  // nothing is done again
    }
    options.progress = nullptr;
    CHECK(failure(options) == "");
    CHECK(files_in(dir) == files_in(whole));
    for (const char* name : {"model.gguf", "model.mtp.gguf"})
      CHECK(test::read_file(dir.file(name)) == test::read_file(whole.file(name)));
  }
}

TEST_CASE("a stopped conversion is not mixed with another one") {
  if (!has("models/v3-fp8-mtp")) return;
  test::DamagedCheckpoint checkpoint("v3-fp8-mtp");
  const ScratchDir dir;
  ConvertOptions options = options_for("v3-fp8-mtp", dir.file("model.gguf"), "BF16");
  options.from = checkpoint.folder();
  int calls = 0;
  options.progress = [&](std::uint64_t, std::uint64_t) {
    if (++calls == 20) throw Error("stopped", 130);
  };
  CHECK(!failure(options).empty());
  options.progress = nullptr;
  ConvertOptions other = options;
  other.types = one_type(*find_format("F16"));
  CHECK(contains(failure(other, 2), "begun with --type BF16, found F16"));
  other = options;
  other.mtp = Mtp::none;
  CHECK(contains(failure(other, 2), "begun with --mtp separate, found none"));
  other = options;
  other.split_bytes = 1 << 20;
  CHECK(contains(failure(other, 2), "begun with --split nothing, found 1048576"));
  checkpoint.edit_header([](test::Json& h) { h["__metadata__"]["x"] = "y"; },
                         "model-00002-of-000003.safetensors");
  CHECK(contains(failure(options, 3), "model-00002-of-000003.safetensors has changed: begun with"));
  options.journal.restart = true;
  CHECK(failure(options) == "");
  CHECK(files_in(dir) == std::vector<std::string>{"model.gguf", "model.mtp.gguf"});
}

TEST_CASE("a write that fails leaves what was there before, and what is done") {
  if (!has("models/v3-fp8-mtp")) return;
  const ScratchDir dir;
  const std::string out = dir.file("model.gguf");
  test::write_file(out, std::as_bytes(std::span("old", 3)));
  const ConvertOptions options = options_for("v3-fp8-mtp", out, "BF16");
  // The file-size limit of the process stands for any write that fails.
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 1 << 20;
  setrlimit(RLIMIT_FSIZE, &small);
  CHECK(contains(failure(options), "cannot be"));
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  CHECK(test::read_file(out).size() == 3);
}

TEST_CASE("the multi-token-prediction layer in the model's file is counted and equal to that in its own") {
  if (!has("models/v3-fp8-mtp")) return;
  const ScratchDir dir;
  run("v3-fp8-mtp", dir.file("two.gguf"), "BF16");
  run("v3-fp8-mtp", dir.file("one.gguf"), "BF16", Mtp::inline_);
  CHECK(!fs::exists(dir.file("one.mtp.gguf")));
  const gguf::Reader one(dir.file("one.gguf")), model(dir.file("two.gguf")), mtp(dir.file("two.mtp.gguf"));
  CHECK(one.integer("deepseek2.block_count", 0, 100) == 3);
  CHECK(one.integer("deepseek2.nextn_predict_layers", 0, 100) == 1);
  CHECK(one.has("tokenizer.ggml.tokens"));
  CHECK(one.tensors().size() == model.tensors().size() + mtp.tensors().size());
  for (const gguf::Reader* part : {&model, &mtp})
    for (const gguf::TensorInfo& t : part->tensors()) {
      const gguf::TensorInfo* same = one.find_tensor(t.name);
      REQUIRE(same != nullptr);
      CHECK(std::memcmp(same->data, t.data, t.bytes) == 0);
    }
}

TEST_CASE("a split model reads as the whole one, and no part is larger than asked") {
  if (!has("models/v3-fp8-mtp")) return;
  const ScratchDir dir, parts;
  run("v3-fp8-mtp", dir.file("m.gguf"), "BF16", Mtp::none);
  ConvertOptions options = options_for("v3-fp8-mtp", parts.file("m.gguf"), "BF16");
  options.mtp = Mtp::none;
  options.split_bytes = 3 << 20;
  convert(options);
  const std::vector<std::string> names = files_in(parts);
  REQUIRE(names.size() > 2);
  CHECK(names.front() == "m-00001-of-0000" + std::to_string(names.size()) + ".gguf");
  for (const std::string& name : names) CHECK(fs::file_size(parts.file(name)) <= options.split_bytes);
  const gguf::Reader whole(dir.file("m.gguf")), split(parts.file(names.front()));
  REQUIRE(split.tensors().size() == whole.tensors().size());
  for (std::size_t i = 0; i < whole.tensors().size(); ++i) {
    const gguf::TensorInfo &a = whole.tensors()[i], &b = split.tensors()[i];
    CHECK(a.name == b.name);
    CHECK(std::equal(a.data, a.data + a.bytes, b.data, b.data + b.bytes));
  }
  CHECK(split.integer("split.tensors.count", 0, 1000) == static_cast<std::int64_t>(whole.tensors().size()));
}

TEST_CASE("block formats refuse a weight that is no number, by the tensor's name") {
  if (!has("models/r1-distill-llama")) return;
  const ScratchDir dir;
  test::DamagedCheckpoint checkpoint("r1-distill-llama");
  const std::string path = checkpoint.folder() + "/model.safetensors";
  std::vector<std::byte> bytes = test::read_file(path);
  std::ptrdiff_t to_end = 0;  // from the tensor's first byte
  {
    const SafeTensors opened(path);
    const std::byte* begin = opened.get("model.layers.1.mlp.up_proj.weight").bytes.data();
    for (const SafeTensor& t : opened.tensors())
      to_end = std::max(to_end, t.bytes.data() + t.bytes.size() - begin);
  }
  *(bytes.end() - to_end) = *(bytes.end() - to_end + 1) = std::byte{0xff};  // a BF16 NaN
  test::write_file(path, bytes);
  ConvertOptions options = options_for("r1-distill-llama", dir.file("m.gguf"), "Q8_0");
  options.from = checkpoint.folder();
  CHECK(failure(options, 3).starts_with("tensor blk.1.ffn_up.weight: a weight is no finite number"));
}

TEST_CASE("an importance matrix reaches the encoders, expert by expert") {
  if (!has("models/v3-fp8-mtp")) return;
  const ScratchDir dir;
  run("v3-fp8-mtp", dir.file("plain.gguf"), "IQ4_NL", Mtp::none);
  std::vector<double> sums(16 * 256, 1.0);
  for (std::size_t i = 0; i < 256; ++i) sums[3 * 256 + i] = i % 2 == 0 ? 1000.0 : 1.0;  // of expert 3 only
  const std::vector<std::int64_t> counts(16, 1);
  quantize::write_importance(
      dir.file("x.imatrix.gguf"), {{"text"}, 1, 16, {}},
      std::vector<quantize::ImportanceSums>{{"blk.1.ffn_up_exps.weight", sums, counts}});
  const quantize::ImportanceMatrix importance(dir.file("x.imatrix.gguf"));
  ConvertOptions options = options_for("v3-fp8-mtp", dir.file("weighted.gguf"), "IQ4_NL");
  options.mtp = Mtp::none;
  options.importance = &importance;
  convert(options);
  const gguf::Reader plain(dir.file("plain.gguf")), weighted(dir.file("weighted.gguf"));
  for (const gguf::TensorInfo& t : plain.tensors()) {
    const gguf::TensorInfo& w = *weighted.find_tensor(t.name);
    const std::size_t expert = t.bytes / 16;
    if (t.name != "blk.1.ffn_up_exps.weight") {
      CHECK(std::memcmp(t.data, w.data, t.bytes) == 0);
      continue;
    }
    CHECK(std::memcmp(t.data + 3 * expert, w.data + 3 * expert, expert) != 0);
  }
}

TEST_CASE("a target that is no regular file is refused and stays") {
  if (!has("models/v3-fp8-mtp")) return;
  const ScratchDir dir;
  const std::string folder = dir.file("folder"), pipe = dir.file("pipe");
  fs::create_directory(folder);
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  for (const std::string& to : {folder, pipe}) CHECK_THROWS_AS(run("v3-fp8-mtp", to, "BF16"), UsageError);
  CHECK(fs::is_directory(folder));
  CHECK(fs::is_fifo(pipe));
  fs::create_symlink(pipe, dir.file("out.mtp.gguf"));
  CHECK_THROWS_AS(run("v3-fp8-mtp", dir.file("out.gguf"), "BF16"), UsageError);
  CHECK(!fs::exists(dir.file("out.gguf")));
}

TEST_CASE("a full disk is exit code 5 and leaves nothing behind") {
  if (!has("models/v3-fp8-mtp")) return;
  const ScratchDir dir;
  const std::string disk = dir.file("disk");
  fs::create_directory(disk);
  if (mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=2m") != 0) {
    std::fprintf(stderr, "no full disk here: mounting is not allowed\n");
    return;
  }
  const ConvertOptions options = options_for("v3-fp8-mtp", disk + "/model.gguf", "BF16");
  int code = 0;
  try {
    convert(options);
  } catch (const DiskFullError& e) {
    code = e.exit_code();
  }
  CHECK(code == 5);
  CHECK(fs::is_empty(disk));
  umount(disk.c_str());
}

}  // namespace coterie::convert
