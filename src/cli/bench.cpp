// coterie bench [MODEL | --shape NAME]: how fast this machine answers, and how near to its limit that is.
#include "base/errors.h"
#include "bench/model_bench.h"
#include "bench/report.h"
#include "cli/command.h"
#include "cli/files.h"
#include "cli/machine.h"
#include "cli/model_args.h"
#include "cli/rival.h"
#include "cli/shape_args.h"
#include "cli/terminal.h"
#include "cli/version.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fstream>

namespace coterie::cli {

namespace fs = std::filesystem;

namespace {

std::vector<std::int64_t> numbers(const std::string& option, const std::string& list, std::int64_t low) {
  std::vector<std::int64_t> values;
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    std::int64_t value = -1;
    const auto [stop, error] = std::from_chars(list.data() + begin, list.data() + end, value);
    constexpr std::int64_t most = 1 << 24;
    if (error != std::errc() || stop != list.data() + end || value < low || value > most)
      throw UsageError(option + ": found " + printable(list) + ", expected whole numbers of at least " +
                       std::to_string(low) + " with commas between");
    values.push_back(value);
    begin = end + 1;
  }
  std::ranges::sort(values);
  return values;
}

struct BenchArgs {
  explicit BenchArgs(Args& args)
      : model(
            args.maybe_positional("MODEL", "a GGUF file; left out: the shipped model, or what --shape says")),
        shape(args, ""),
        depth(args.option("--depth LIST", "0,4096,16384,65536", "rows in the cache before, where they fit")),
        batch(args.option("--batch LIST", "1,2,4,8,32", "produced tokens per step")),
        prompts(args.option("--prompt LIST", "512", "tokens of a prompt; 0: none")),
        vs(args.list("--vs COMMAND", "another benchmark, run in turns with this one; may be given again")),
        csv(args.maybe("--csv FILE", "write the figures as CSV")),
        svg(args.maybe("--svg FILE", "draw the figures")),
        json(args.flag("--json", "print one JSON object")),
        engine(engine_options(args)) {
    plan.steps = args.integer("--steps N", plan.steps, {0, 1 << 20}, "decode steps per repetition; 0: none");
    plan.repetitions =
        static_cast<int>(args.integer("--repetitions N", plan.repetitions, {1, 1000}, "of every test"));
    plan.busy = static_cast<int>(
        args.integer("--busy N", 0, {0, 1024}, "decode also beside N processes that keep a core busy each"));
    args.finish();
    plan.depths = numbers("--depth", depth, 0);
    plan.batches = numbers("--batch", batch, 1);
    plan.prompts = numbers("--prompt", prompts, 0);
    std::erase(plan.prompts, 0);
    if (model && shape.given()) throw UsageError("bench: found MODEL and --shape, expected one of them");
    if (plan.prompts.empty() && plan.steps == 0)
      throw UsageError("bench: --prompt 0 and --steps 0 leave nothing");
  }

  std::optional<std::string> model;
  ShapeArgs shape;
  std::string depth, batch, prompts;
  std::vector<std::string> vs;
  std::optional<std::string> csv, svg;
  bool json;
  EngineOptions engine;
  bench::BenchPlan plan;
};

// A model of random weights in shared memory, or where that is too small in the folder of temporary files, whose pages
// the system keeps in memory as long as there is room.
class ScratchModel {
 public:
  explicit ScratchModel(const ShapeArgs& shape) {
    const std::string name = "coterie-bench-" + std::to_string(getpid()) + ".gguf";
    bench::SynthOptions options = shape.resolve();
    Progress progress;
    options.progress = interruptible(progress, "making a model");
    try {
      options.to = path_ = fs::path("/dev/shm") / name;
      bench::synthesize(options);
    } catch (const DiskFullError&) {
      options.to = path_ = fs::temp_directory_path() / name;
      bench::synthesize(options);
    }
  }
  ~ScratchModel() {
    std::error_code ignored;
    fs::remove(path_, ignored);
  }
  ScratchModel(const ScratchModel&) = delete;
  ScratchModel& operator=(const ScratchModel&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string command_line() {
  std::ifstream in("/proc/self/cmdline");
  std::string line(std::istreambuf_iterator<char>(in), {});
  while (!line.empty() && line.back() == '\0') line.pop_back();
  std::ranges::replace(line, '\0', ' ');
  return printable(line);
}

bench::BenchProgress with_bar(Progress& bar) {
  return [&bar](double share, const bench::Measurement& next) {
    if (Interrupt::requested()) throw Error("interrupted", 130);
    bar.show(share, (next.role == Role::prompt ? "prompt at " : "decode at ") + std::to_string(next.depth));
  };
}

// Loads the model with room for the plan, and runs it.
std::vector<bench::Measurement> run_plan(const std::string& path, EngineOptions options,
                                         bench::BenchPlan plan, std::string* isa) {
  Progress bar;
  options.context = 1;
  {
    const Engine probe(path, options);
    const bench::BenchPlan fits = bench::fitting(plan, probe);
    for (const std::int64_t depth : plan.depths)
      if (std::ranges::find(fits.depths, depth) == fits.depths.end())
        std::fprintf(stderr,
                     "depth %lld is left out: more than the model's context or half of the free memory\n",
                     static_cast<long long>(depth));
    plan = fits;
    if (plan.depths.empty())
      throw MemoryError("bench: no depth fits the model's context and half of the free memory");
    options.threads = probe.options().threads;
  }
  options.context = bench::context_of(plan);
  const Engine engine(path, options);
  *isa = kernels().isa;
  return bench::measure(engine, plan, with_bar(bar));
}

// All repetitions at once; or in turns with the others, each of ours a load and a run of its own, so that one copy
// of the weights is in memory at a time.
std::vector<bench::Measurement> measure(const BenchArgs& a, const std::string& path, std::string* isa) {
  if (a.vs.empty()) return run_plan(path, a.engine, a.plan, isa);
  bench::BenchPlan plan = a.plan;
  plan.repetitions = 1;
  std::vector<bench::Measurement> tests;
  for (int round = 0; round < a.plan.repetitions; ++round) {
    const std::vector<bench::Measurement> again = run_plan(path, a.engine, plan, isa);
    if (round == 0) tests = again;
    for (std::size_t i = 0; i < tests.size(); ++i) {
      tests[i].rivals.resize(a.vs.size());
      if (round == 0) continue;
      tests[i].seconds.push_back(again[i].seconds.front());
      tests[i].limits.push_back(again[i].limits.front());
    }
    for (std::size_t rival = 0; rival < a.vs.size(); ++rival)
      for (const bench::Rate& rate : run_rival(a.vs[rival]))
        for (bench::Measurement& test : tests)
          if (test.same_test(rate)) test.rivals[rival].push_back(rate.tokens_per_s);
  }
  return tests;
}

int run_bench(Args& args) {
  const BenchArgs a(args);
  const Interrupt interrupt;
  std::optional<ScratchModel> scratch;
  if (a.shape.given()) scratch.emplace(a.shape);
  const std::string path = scratch ? scratch->path() : a.model ? *a.model : shipped_model();

  const Machine machine = describe_machine();
  const int threads = a.engine.threads > 0 ? a.engine.threads : machine.physical_cores;
  bench::BenchHeader header{.program = version_line(),
                            .command = command_line(),
                            .cpu = machine.cpu,
                            .isa = {},
                            .model = a.shape.given() ? a.shape.name() : path,
                            .threads = threads,
                            .reads = bench::measure_read_rates(),
                            .byte_peak = bench::measure_byte_peak(kernels(), threads),
                            .float_peak = bench::measure_float_peak(kernels(), threads),
                            .bandwidth = bench::measure_read_bandwidth(threads),
                            .clock = bench::measure_clock(),
                            .rivals = a.vs};
  const std::vector<bench::Measurement> tests = measure(a, path, &header.isa);

  if (a.json)
    std::printf("%s\n", bench::json_of(header, tests)
                            .dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace)
                            .c_str());
  else
    std::printf("%s", bench::table_of(header, tests).c_str());
  if (a.csv) write_text(*a.csv, bench::csv_of(header, tests));
  if (a.svg) write_text(*a.svg, bench::svg_of(header, tests));
  return 0;
}

}  // namespace

const Command bench_command{
    "bench", "measure decode and prompt speed, and what share of this machine's limit they are", run_bench,
    "coterie bench\n"
    "coterie bench --shape deepseek-r1 --layers 1+1 --type Q4_K --svg slice.svg\n"
    "coterie bench model.gguf --depth 0,16384 --json\n"
    "coterie bench model.gguf --depth 0 --batch 1 --prompt 0 --busy 1\n"
    "coterie bench model.gguf --depth 0 --batch 1 --vs \"llama-bench -m model.gguf -t 8 -p 512 -n 16 -r 1 -o "
    "json\""};

}  // namespace coterie::cli
