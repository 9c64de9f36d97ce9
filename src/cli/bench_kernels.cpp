// coterie bench kernels: every format on every instruction set, from the cache and from memory.
#include "base/errors.h"
#include "bench/kernel_bench.h"
#include "bench/probe.h"
#include "cli/command.h"
#include "cli/terminal.h"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <string>

namespace coterie::cli {

static int bench_kernels(Args& args) {
  const auto format = args.maybe("--format TYPE", "this format alone");
  const auto isa = args.maybe("--isa NAME", "this instruction set alone");
  const bool json = args.flag("--json", "print one JSON array");
  args.finish();

  bench::KernelPlan plan = bench::whole_plan();
  std::erase_if(plan.formats, [&](const FormatInfo* f) { return format && find_format(*format) != f; });
  std::erase_if(plan.isas, [&](const Kernels* k) { return isa && *isa != k->isa; });
  if (plan.formats.empty()) throw UsageError("--format: unknown type " + printable(*format));
  if (plan.isas.empty()) throw UsageError("--isa: " + printable(*isa) + " is unknown or cannot run here");

  const double clock = bench::measure_clock();
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  if (!json) {
    std::printf("one thread at %.2f GHz (a chain of additions)\n", clock / 1e9);
    std::printf("format   isa          row  tokens  from     GB/s   bytes/cycle  ops/cycle\n");
  }
  bench::measure_kernels(plan, [&](const bench::KernelResult& r) {
    const double bytes = r.bytes / r.seconds, operations = r.operations / r.seconds;
    const char* from = r.from_memory ? "memory" : "cache";
    if (json)
      list.push_back({{"format", r.format->name},
                      {"isa", r.isa},
                      {"row", r.n},
                      {"tokens", r.n_tokens},
                      {"from", from},
                      {"bytes_per_s", bytes},
                      {"bytes_per_cycle", bytes / clock},
                      {"ops_per_cycle", operations / clock}});
    else
      std::printf("%-8s %-10s %5lld %7d  %-6s %7.2f %10.2f %10.1f\n", r.format->name, r.isa,
                  static_cast<long long>(r.n), r.n_tokens, from, bytes / 1e9, bytes / clock,
                  operations / clock);
    flush_stdout();
  });
  if (json) std::printf("%s\n", list.dump(2).c_str());
  return 0;
}

const Command bench_kernels_command{"bench kernels", "measure the kernels one by one", bench_kernels,
                                    "coterie bench kernels --format Q4_K\ncoterie bench kernels --json"};

}  // namespace coterie::cli
