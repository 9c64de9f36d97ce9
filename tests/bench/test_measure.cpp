// bench/model_bench.h, report.h, probe.h, kernel_bench.h: what is measured is what was asked for, and the sums are right.
#include "bench/kernel_bench.h"
#include "bench/report.h"
#include "tests/support/golden.h"

#include <doctest/doctest.h>

#include <atomic>
#include <cmath>
#include <string>
#include <thread>
#include <vector>

namespace coterie::bench {

namespace {

Measurement measurement(Role role, std::int64_t tokens, std::vector<double> seconds) {
  const std::vector<double> limits(seconds.size(), role == Role::prompt ? 100000 : 20000);
  return {.role = role,
          .depth = 0,
          .tokens = tokens,
          .steps = role == Role::prompt ? 1 : 10,
          .cost = {.bytes = 1000, .weights = 500},
          .seconds = std::move(seconds),
          .limits = limits};
}

BenchHeader header() {
  return {.program = "p",
          .command = "c \"d\"",
          .cpu = "x<y",
          .isa = "generic",
          .model = "m",
          .threads = 2,
          .reads = {{-1, 1, 5e9}, {0, 2, 8e9}},
          .byte_peak = 100000,
          .float_peak = 1,
          .bandwidth = 20000};
}

std::string model_path() { return std::string(COTERIE_SOURCE_DIR) + "/models/demo/coterie-demo.gguf"; }

}  // namespace

TEST_CASE("rates, their median and spread, and the share of the limit that binds") {
  const Measurement decode = measurement(Role::decode, 1, {1.0, 4.0, 2.0});  // 10 tokens
  CHECK(decode.median() == 5);
  CHECK(decode.lowest() == 2.5);
  CHECK(decode.highest() == 10);
  CHECK(share_of_limit(decode) == doctest::Approx(5 * 1000 / 20000.0));
  const Measurement prompt = measurement(Role::prompt, 64, {2.0, 2.0});
  CHECK(prompt.median() == 32);
  CHECK(share_of_limit(prompt) == doctest::Approx(32 * 2 * 500 / 100000.0));
  CHECK(share_of_limit(measurement(Role::decode, 4, {1.0})) == 0);  // several tokens share their reads
}

TEST_CASE("another program is compared turn by turn") {
  Measurement m = measurement(Role::decode, 1, {1.0, 4.0, 2.0});  // 10, 2.5 and 5 tokens per second
  m.rivals = {{5, 5, 1}, {}};
  CHECK(m.median_of(0) == 5);
  CHECK(m.median_ratio(0) == 2);  // of 2, 0.5 and 5
  CHECK(m.median_of(1) == 0);
  CHECK(m.median_ratio(1) == 0);
  BenchHeader h = header();
  h.rivals = {"a <b>", "c"};
  CHECK(table_of(h, {m}).find("[1] 5.00, 2.00\n") != std::string::npos);
  CHECK(csv_of(h, {m}).find(",5,0\n") != std::string::npos);
  CHECK(svg_of(h, {m}).find("2.00 x [1]") != std::string::npos);
  CHECK(svg_of(h, {m}).find("a &lt;b&gt;") != std::string::npos);
}

TEST_CASE("the report says the same in every form") {
  const std::vector<Measurement> tests{measurement(Role::prompt, 64, {2.0}),
                                       measurement(Role::decode, 1, {1.0})};
  const auto json = json_of(header(), tests);
  CHECK(json["tests"][0]["tokens_per_s"] == 32);
  CHECK(json["tests"][1]["bytes_per_s"] == 10000);
  CHECK(json["read_rates"][1]["node"] == 0);
  const std::string csv = csv_of(header(), tests);
  CHECK(csv.find("\"c \"\"d\"\"\"") != std::string::npos);
  CHECK(csv.find(",decode,0,1,10,10,10,10000,0,0.5\n") != std::string::npos);
  CHECK(table_of(header(), tests).find("50.0 %") != std::string::npos);
  const std::string svg = svg_of(header(), tests);
  CHECK(svg.find("x&lt;y") != std::string::npos);
  CHECK(svg.find("width=\"200\" height=\"16\" fill=\"#2d6fc9\"") != std::string::npos);  // half of 400
}

TEST_CASE("every test of the plan is run as often as asked, depths that do not fit are left out") {
  EngineOptions options;
  options.threads = 1;
  options.context = 1;
  BenchPlan plan{.depths = {0, 100, std::int64_t{1} << 40},
                 .batches = {1, 3},
                 .prompts = {20},
                 .steps = 2,
                 .repetitions = 2};
  plan = fitting(plan, Engine(model_path(), options));
  CHECK(plan.depths == std::vector<std::int64_t>{0, 100});
  options.context = context_of(plan);
  CHECK(options.context == 120);
  const Engine engine(model_path(), options);
  const std::vector<Measurement> tests = measure(engine, plan, [](double, const Measurement&) {});
  REQUIRE(tests.size() == 5);  // prompt and two batches at 0, prompt and one at 100
  for (const Measurement& m : tests) {
    CHECK(m.seconds.size() == 2);
    CHECK(m.lowest() > 0);
  }
  CHECK(tests[4].depth == 100);
  CHECK(tests[4].cost.bytes - tests[1].cost.bytes ==
        100 * engine.model().cache_bytes_per_position(options.cache));
}

TEST_CASE("a timeline can be pretended, and goes on as any other") {
  EngineOptions options;
  options.threads = 1;
  options.context = 64;
  const Engine engine(model_path(), options);
  Session session(engine);
  session.pretend(40);
  CHECK(session.tokens().size() == 40);
  const std::vector<Token> token{5};
  for (const float x : session.feed(token, Role::decode)) CHECK(std::isfinite(x));
  session.pretend(1000);
  CHECK(session.tokens().size() == 64);  // the context
}

TEST_CASE("the clock is the same on a busy machine") {
  const double quiet = measure_clock();
  std::atomic<bool> stop{false};
  std::vector<std::thread> busy;
  for (int i = 0; i < 4 * cpus_allowed(); ++i)
    busy.emplace_back([&] {
      while (!stop.load()) {
      }
    });
  const double measured = measure_clock();
  stop.store(true);
  for (std::thread& t : busy) t.join();
  CHECK(measured > 0.5 * quiet);
}

TEST_CASE("the probes give figures of this world") {
  CHECK(measure_clock() > 2e8);
  CHECK(measure_clock() < 2e10);
  for (const Kernels* k : all_kernels()) {
    if (!k->runnable()) continue;
    INFO(std::string(k->isa));
    CHECK(measure_byte_peak(*k, 1) > 1e8);
    CHECK(measure_float_peak(*k, 1) > 1e8);
  }
  const std::vector<ReadRate> rates = measure_read_rates();
  REQUIRE(!rates.empty());
  CHECK(rates.front().threads == 1);
  CHECK(rates.back().bytes_per_second >= 0);
}

TEST_CASE("kernels are measured per format, table, row and tokens") {
  KernelPlan plan{.formats = {find_format("Q4_K"), find_format("Q8_0")},
                  .isas = {all_kernels().back()},
                  .row_lengths = {2048, 2080},
                  .tokens = {1, 4}};
  int of_k = 0;
  int of_8 = 0;
  measure_kernels(plan, [&](const KernelResult& r) {
    ++(r.format == plan.formats[0] ? of_k : of_8);
    CHECK(r.seconds > 0);
    CHECK(r.operations ==
          doctest::Approx(2 * r.n_tokens * r.bytes / r.format->block_bytes * r.format->block_size));
  });
  CHECK(of_k == 3);  // 2080 is no multiple of 256; from memory one token only
  CHECK(of_8 == 6);
}

}  // namespace coterie::bench
