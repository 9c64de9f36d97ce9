#include "cli/model_args.h"

#include "base/errors.h"
#include "device/onednn/fast.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

namespace coterie::cli {

namespace fs = std::filesystem;

EngineOptions engine_options(Args& args, CacheType fallback) {
  EngineOptions options;
  constexpr std::int64_t most_tokens = std::int64_t{1} << 30;
  options.threads =
      static_cast<int>(args.integer("--threads N", 0, {0, 1024}, "threads; 0: one per physical core"));
  options.chunk =
      static_cast<int>(args.integer("--chunk N", options.chunk, {1, 65536}, "prompt tokens per step"));
  options.context =
      args.integer("--ctx N", 0, {0, most_tokens}, "tokens of context; 0: the file's, at most 16384");
  std::vector<CacheType> types{CacheType::f16, CacheType::f32, CacheType::q8_0, CacheType::q4_0};
  if (fallback == CacheType::f32) std::swap(types[0], types[1]);
  std::vector<std::string> names;
  for (const CacheType type : types) names.emplace_back(format_of(type).name);
  const std::string name = args.choice("--kv TYPE", names, "type of the key-value cache");
  for (const CacheType type : types)
    if (name == format_of(type).name) options.cache = type;
  const std::string huge =
      args.choice("--huge-pages KIND", {"off", "transparent", "explicit"},
                  "copy the weights into huge pages; off: use them where the file is mapped");
  if (huge != "off") options.huge_pages = huge == "explicit" ? HugePages::reserved : HugePages::transparent;
  if (args.flag("--fast", "F32, F16 and BF16 weights meet prompts in oneDNN: faster, not bit-equal")) {
    options.kernels = fast_kernels();
    if (options.kernels == nullptr)
      std::fprintf(stderr, "warning: --fast: %s; the usual kernels are used\n", fast_library().c_str());
  }
  return options;
}

EngineOptions with_progress(EngineOptions options) {
  options.progress = [bar = std::make_shared<Progress>()](double fraction, const char* what) {
    if (Interrupt::requested()) throw Error("interrupted", 130);
    fraction < 1 ? bar->show(fraction, what) : bar->clear();
  };
  return options;
}

static fs::path program_folder() {
  std::error_code failed;
  const fs::path program = fs::read_symlink("/proc/self/exe", failed);
  return failed ? fs::path() : program.parent_path();
}

static constexpr const char* shipped_name = "coterie-demo.gguf";

std::string find_shipped_model() {
  if (const char* named = std::getenv("COTERIE_DEMO"); named != nullptr && *named != '\0') return named;
  const fs::path here = program_folder();
  for (const fs::path& folder : {here / "../models/demo", here / "../share/coterie"})
    if (fs::exists(folder / shipped_name)) return (folder / shipped_name).lexically_normal();
  return "";
}

std::string shipped_model() {
  const std::string path = find_shipped_model();
  if (!path.empty()) return path;
  throw UsageError("no MODEL given, and the shipped one, " + std::string(shipped_name) +
                   ", is neither in ../models/demo nor in " + "../share/coterie beside " +
                   program_folder().string() + "; COTERIE_DEMO may name another");
}

}  // namespace coterie::cli
