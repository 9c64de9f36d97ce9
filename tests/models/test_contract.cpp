// One answer everywhere: the logits' bits do not depend on threads, prompt chunks or instruction set.
#include "base/errors.h"
#include "tests/models/reference.h"
#include "tests/models/rewritten.h"
#include "tests/support/gunzip.h"

#include <doctest/doctest.h>

#include <bit>
#include <cstdlib>
#include <cstring>
#include <optional>

namespace coterie::test {

namespace {

// 130 tokens: more than two attention blocks, no multiple of any chunk.
std::vector<Token> long_prompt() {
  std::vector<Token> ids{0};
  for (std::uint32_t i = 1; i < 130; ++i) ids.push_back(static_cast<Token>((i * 2654435761U >> 7) % 960));
  return ids;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

struct Setting {
  int threads, chunk;
  const Kernels* kernels;
  Role role;
  CacheType cache = CacheType::f16;
  std::optional<HugePages> huge_pages{};
};

std::vector<float> run(const std::string& path, const Setting& s) {
  EngineOptions options = exact_options();
  options.cache = s.cache;
  options.threads = s.threads;
  options.chunk = s.chunk;
  options.kernels = s.kernels;
  options.huge_pages = s.huge_pages;
  return all_logits(Engine(path, options), long_prompt(), s.role);
}

// A DeepSeek model whose rows fit the super-blocks: the golden one, or the shipped one where a compact set
// lacks it.
std::string wide_model() {
  if (has_golden("models/v3-fp8-mtp/config.json")) return converted("v3-fp8-mtp", "F32");
  return COTERIE_SOURCE_DIR "/models/demo/coterie-demo.gguf";
}

// That model, its matrices in the given formats in turn.
std::string mixed(const ScratchDir& folder, const std::vector<const char*>& formats) {
  std::string name;
  for (const char* f : formats) name += f;
  const std::string path = folder.file(name + ".gguf");
  std::size_t next = 0;
  rewrite(wide_model(), path, {.format = [&](const gguf::TensorInfo& t) -> const FormatInfo* {
            if (t.n_dims == 1 || t.name.find("ffn_gate_inp") != std::string_view::npos) return nullptr;
            return find_format(std::string_view(formats[next++ % formats.size()]));
          }});
  return path;
}

const std::vector<std::vector<const char*>> mixes = {{"F32"},
                                                     {"BF16", "F16"},
                                                     {"Q8_0", "Q4_0"},
                                                     {"Q4_K", "Q6_K", "Q5_K"},
                                                     {"Q2_K", "Q3_K", "IQ4_XS", "Q5_1", "IQ4_NL"}};

}  // namespace

TEST_CASE("logits are the same bits for every thread count, chunk and instruction set") {
  const ScratchDir folder;
  for (const std::vector<const char*>& formats : mixes) {
    const std::string path = mixed(folder, formats);
    for (const Role role : {Role::prompt, Role::decode}) {
      const std::vector<float> expected = run(path, {1, 512, nullptr, role});
      for (const int threads : {2, 3, 8}) {
        INFO(formats[0], " threads ", threads);
        CHECK(same_bits(run(path, {threads, 512, nullptr, role}), expected));
      }
      for (const int chunk : {1, 7, 64}) {
        INFO(formats[0], " chunk ", chunk);
        CHECK(same_bits(run(path, {2, chunk, nullptr, role}), expected));
      }
      for (const Kernels* k : all_kernels()) {
        if (!k->runnable()) continue;
        INFO(formats[0], " on ", std::string(k->isa));
        CHECK(same_bits(run(path, {2, 512, k, role}), expected));
      }
    }
  }
}

TEST_CASE("a cache in bytes gives the same bits everywhere, and others than one of F32") {
  struct Case {
    std::string path;
    CacheType cache;
  };
  // The wide one's keys and values are whole blocks: prompts attend in bytes too.
  const Case cases[] = {{converted("v3-yarn", "F32"), CacheType::q8_0},
                        {wide_model(), CacheType::q8_0},
                        {wide_model(), CacheType::q4_0},
                        {converted("r1-distill-llama", "F32"), CacheType::q8_0}};
  for (const Case& c : cases)
    for (const Role role : {Role::prompt, Role::decode}) {
      const std::string& path = c.path;
      const CacheType cache = c.cache;
      INFO(path, cache == CacheType::q8_0 ? ", Q8_0" : ", Q4_0");
      const std::vector<float> expected = run(path, {1, 512, nullptr, role, cache});
      CHECK(same_bits(run(path, {3, 7, nullptr, role, cache}), expected));
      for (const Kernels* k : all_kernels())
        if (k->runnable()) CHECK(same_bits(run(path, {2, 64, k, role, cache}), expected));
      const std::vector<float> exact = run(path, {1, 512, nullptr, role, CacheType::f32});
      CHECK_FALSE(same_bits(exact, expected));
    }
}

TEST_CASE("grouped attention gives the same bits for threads, chunks and instruction sets") {
  for (const char* model : {"r1-distill-llama", "r1-distill-qwen2", "qwen3-moe"}) {
    INFO(model);
    const std::string path = converted(model, "Q8_0");
    const std::vector<float> expected = run(path, {1, 512, nullptr, Role::prompt});
    CHECK(same_bits(run(path, {3, 7, nullptr, Role::prompt}), expected));
    // This attention has one form: roles agree too.
    CHECK(same_bits(run(path, {2, 1, nullptr, Role::decode}), expected));
    for (const Kernels* k : all_kernels())
      if (k->runnable()) CHECK(same_bits(run(path, {2, 64, k, Role::prompt}), expected));
  }
}

TEST_CASE("memory nodes and copies of the weights in huge pages change no bit") {
  const ScratchDir folder;
  const std::string path = mixed(folder, {"Q4_K", "Q8_0", "F16"});
  for (const Role role : {Role::prompt, Role::decode}) {
    const std::vector<float> expected = run(path, {1, 512, nullptr, role});
    for (const char* nodes : {"1", "2", "4"}) {
      setenv("COTERIE_NODES", nodes, 1);
      for (const int threads : {2, 3}) {
        INFO("nodes ", std::string(nodes), " threads ", threads);
        CHECK(same_bits(run(path, {threads, 7, nullptr, role}), expected));
      }
      CHECK(same_bits(run(path, {3, 512, nullptr, role, CacheType::f16, HugePages::transparent}), expected));
    }
    unsetenv("COTERIE_NODES");
  }
}

TEST_CASE("reserved huge pages give the same bits, or one line that says how to get some") {
  const ScratchDir folder;
  const std::string path = mixed(folder, {"Q8_0"});
  const std::vector<float> expected = run(path, {2, 512, nullptr, Role::prompt});
  try {
    const std::vector<float> found =
        run(path, {2, 512, nullptr, Role::prompt, CacheType::f16, HugePages::reserved});
    CHECK(same_bits(found, expected));
  } catch (const MemoryError& e) {
    const std::string line = e.what();
    INFO(line);
    CHECK(line.find("huge pages of 2 MiB") != std::string::npos);
    CHECK(line.find("sudo sysctl vm.nr_hugepages=") != std::string::npos);
  }
}

TEST_CASE("the comparison above notices one flipped bit of a weight and of a logit") {
  const ScratchDir folder;
  const std::string path = mixed(folder, {"Q4_K"});
  const std::vector<float> expected = run(path, {1, 512, nullptr, Role::prompt});
  const std::string changed = folder.file("flipped.gguf");
  rewrite(path, changed, {.change = [](const gguf::TensorInfo& t, std::vector<float>& values) {
            if (t.name == "blk.1.attn_norm.weight")
              values[0] = std::bit_cast<float>(std::bit_cast<std::uint32_t>(values[0]) ^ 1U);
          }});
  CHECK_FALSE(same_bits(run(changed, {1, 512, nullptr, Role::prompt}), expected));
  std::vector<float> logit = expected;
  logit[5] = std::bit_cast<float>(std::bit_cast<std::uint32_t>(logit[5]) ^ 1U);
  CHECK_FALSE(same_bits(logit, expected));
}

}  // namespace coterie::test
