// coterie bench encoders: the error that every encoder leaves beside ggml's, and its speed on every instruction set.
#include "base/errors.h"
#include "bench/encoder_bench.h"
#include "cli/command.h"
#include "cli/terminal.h"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <string>

namespace coterie::cli {

namespace {

using Json = nlohmann::ordered_json;

Json compare(const bench::EncoderPlan& plan, const std::string& folder, bool print) {
  Json list = Json::array();
  if (print) std::printf("format   rows     importance   rms error  reference   ratio\n");
  bench::compare_encoders(plan, folder, [&](const bench::EncoderQuality& q) {
    list.push_back({{"format", q.format->name},
                    {"rows", q.rows},
                    {"importance", q.weighted},
                    {"rms_error", q.ours},
                    {"reference", q.reference}});
    if (!print) return;
    std::printf("%-8s %-8s %-10s %11.4g %10.4g %7.3f\n", q.format->name, q.rows.c_str(),
                q.weighted ? "yes" : "no", q.ours, q.reference, q.reference > 0 ? q.ours / q.reference : 1.0);
    flush_stdout();
  });
  return list;
}

Json time(const bench::EncoderPlan& plan, bool print) {
  Json list = Json::array();
  if (print) std::printf("\nformat   isa        importance  M weights/s, one thread\n");
  bench::time_encoders(plan, [&](const bench::EncoderSpeed& s) {
    list.push_back({{"format", s.format->name},
                    {"isa", s.isa},
                    {"importance", s.weighted},
                    {"weights_per_s", s.weights_per_second}});
    if (!print) return;
    std::printf("%-8s %-10s %-10s %10.1f\n", s.format->name, s.isa, s.weighted ? "yes" : "no",
                s.weights_per_second / 1e6);
    flush_stdout();
  });
  return list;
}

int bench_encoders(Args& args) {
  const auto format = args.maybe("--format TYPE", "this format alone");
  const auto isa = args.maybe("--isa NAME", "this instruction set alone");
  const auto reference =
      args.maybe("--reference DIR", "with quantize.json and quantize.safetensors: compare the errors");
  const bool json = args.flag("--json", "print one JSON object");
  args.finish();

  bench::EncoderPlan plan = bench::whole_encoder_plan();
  std::erase_if(plan.formats, [&](const FormatInfo* f) { return format && find_format(*format) != f; });
  std::erase_if(plan.isas, [&](const Kernels* k) { return isa && *isa != k->isa; });
  if (plan.formats.empty())
    throw UsageError("--format: " + printable(*format) + " is unknown or has no encoder");
  if (plan.isas.empty()) throw UsageError("--isa: " + printable(*isa) + " is unknown or cannot run here");

  Json out;
  if (reference) out["errors"] = compare(plan, *reference, !json);
  out["speed"] = time(plan, !json);
  if (json) std::printf("%s\n", out.dump(2).c_str());
  return 0;
}

}  // namespace

const Command bench_encoders_command{
    "bench encoders", "measure the encoders: error and speed", bench_encoders,
    "coterie bench encoders --reference tests/golden/quants\ncoterie bench encoders --format Q4_K --json"};

}  // namespace coterie::cli
