// coterie calibrate MODEL TEXT -o OUT.imatrix.gguf: which columns of the weights matter, for the quantizer.
#include "quantize/calibrate.h"
#include "base/cpu.h"
#include "base/errors.h"
#include "cli/command.h"
#include "cli/files.h"
#include "cli/terminal.h"
#include "engine/engine.h"
#include "gguf/reader.h"
#include "text/windows.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

namespace coterie::cli {

namespace {

using Json = nlohmann::ordered_json;
using quantize::CalibrateOptions;
using quantize::CalibrateResult;
using quantize::Coverage;
using Windows = std::vector<std::vector<Token>>;

Windows windows_of(const Engine& engine, const std::string& text, std::int64_t size, std::int64_t most,
                   text::Special special) {
  Windows windows = text::windows_of(engine.tokenizer(), text, size, special);
  if (most > 0 && std::ssize(windows) > most) windows.resize(static_cast<std::size_t>(most));
  if (windows.empty()) throw Error("TEXT: found no token, expected some text to read");
  return windows;
}

// "window 12 of 40, 3 min left".
class Eta {
 public:
  std::string operator()(std::int64_t done, std::int64_t total) {
    if (first_ < 0) {
      first_ = done;
      start_ = Clock::now();
    }
    std::string text = "window " + std::to_string(done) + " of " + std::to_string(total);
    if (done == first_) return text;
    const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
    const double left = seconds / static_cast<double>(done - first_) * static_cast<double>(total - done);
    const bool minutes = left >= 120;
    return text + ", " + std::to_string(static_cast<int>(minutes ? left / 60 : left)) +
           (minutes ? " min left" : " s left");
  }

 private:
  using Clock = std::chrono::steady_clock;
  std::int64_t first_ = -1;  // windows done when the clock started
  Clock::time_point start_;
};

Json json_of(const CalibrateResult& r) {
  Json json{{"windows", r.windows},       {"tokens", r.tokens},   {"resumed_at", r.resumed_at},
            {"perplexity", r.perplexity}, {"entries", r.entries}, {"unseen", r.unseen}};
  json["layers"] = Json::array();
  for (const Coverage& c : r.layers)
    json["layers"].push_back({{"stack", c.stack},
                              {"experts", c.experts},
                              {"min", c.min},
                              {"median", c.median},
                              {"max", c.max},
                              {"unreached", c.unreached},
                              {"forced_experts", c.forced_experts},
                              {"forced_tokens", c.forced_tokens}});
  return json;
}

void print_result(const CalibrateResult& r) {
  std::printf("%" PRId64 " tokens in %" PRId64 " windows, perplexity %.4f, importance of %" PRId64
              " tensors\n",
              r.tokens, r.windows, r.perplexity, r.entries);
  if (!r.layers.empty())
    std::printf("%-32s %8s %8s %8s %9s %s\n", "tokens per expert", "min", "median", "max", "unreached",
                "forced: experts, tokens");
  for (const Coverage& c : r.layers)
    std::printf("%-32s %8" PRId64 " %8" PRId64 " %8" PRId64 " %4" PRId64 "/%-4" PRId64 " %7" PRId64
                " %8" PRId64 "\n",
                printable(c.stack).c_str(), c.min, c.median, c.max, c.unreached, c.experts, c.forced_experts,
                c.forced_tokens);
  for (const std::string& name : r.unseen)
    std::printf("no token met %s: it has no entry\n", printable(name).c_str());
}

int calibrate(Args& args) {
  CalibrateOptions o;
  const std::string model = args.positional("MODEL", "a GGUF file, quantised or not");
  const std::string text_path = args.positional("TEXT", "what it shall read; -: standard input");
  o.output = args.option("-o,--out FILE", "", "the importance matrix to write (required)");
  o.window = args.integer("--window N", 512, {2, 1 << 20}, "tokens after which the context starts anew");
  const std::int64_t most = args.integer("--chunks N", 0, {0, 1 << 30}, "windows at most; 0: the whole text");
  const bool special =
      args.flag("--special", "special tokens in TEXT count as such, and each BOS starts anew");
  o.min_tokens = args.integer("--min-tokens N", 32, {0, 1 << 16},
                              "for every expert; what its router sends less is forced, 0: nothing");
  o.threads = static_cast<int>(args.integer("--threads N", 0, {0, 1024}, "0: one per physical core"));
  o.save_seconds = args.number("--save-every SECONDS", 300, {0, 1e6}, "how often the state is saved");
  o.restart = args.flag("--restart", "forget what an interrupted run has left beside the output");
  const bool json = args.flag("--json", "print one JSON object");
  args.finish();
  if (o.output.empty()) throw UsageError("calibrate: expected -o FILE");

  if (o.threads == 0) o.threads = physical_cores();
  o.dataset = std::filesystem::path(text_path).filename().string();
  EngineOptions engine_args;
  engine_args.context = o.window;
  const Engine engine(model, engine_args);
  const Windows windows = windows_of(engine, read_text(text_path), o.window, most,
                                     special ? text::Special::parse : text::Special::plain);
  Progress bar;
  Eta eta;
  const Interrupt interrupt;
  o.cancelled = Interrupt::requested;
  o.progress = [&](std::int64_t done, std::int64_t total) {
    bar.show(static_cast<double>(done) / static_cast<double>(total), eta(done, total));
  };
  const CalibrateResult result = quantize::calibrate(engine.file(), engine.model(), windows, o);
  bar.clear();
  if (json)
    std::printf("%s\n", json_of(result).dump(2, ' ', false, Json::error_handler_t::replace).c_str());
  else
    print_result(result);
  report_written(o.output);
  return 0;
}

}  // namespace

const Command calibrate_command{
    "calibrate", "read a text and note which columns of the weights matter, for quantize and convert",
    calibrate,
    "coterie calibrate model-Q8_0.gguf text.txt -o model.imatrix.gguf\n"
    "coterie calibrate model-BF16.gguf text.txt -o model.imatrix.gguf --chunks 200 --json"};

}  // namespace coterie::cli
