// bench/encoder_bench.h: every type of the reference is compared, fairly, and every encoder timed.
#include "bench/encoder_bench.h"
#include "tests/support/golden.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <set>
#include <string>

namespace coterie::bench {

TEST_CASE("no encoder leaves more error than the reference, with and without importance") {
  const std::string folder = test::golden("quants");
  if (!test::full_golden() && !std::filesystem::exists(folder + "/quantize.json")) {
    MESSAGE("skipped: quants/quantize.json is not in the compact golden set");
    return;
  }
  std::set<std::string> seen;
  compare_encoders(whole_encoder_plan(), folder, [&](const EncoderQuality& q) {
    INFO(std::string(q.format->name), " ", q.rows, std::string(q.weighted ? ", weighted: " : ": "), q.ours,
         ", reference ", q.reference);
    CHECK(q.ours <= q.reference * (1 + 1e-7));  // simple types are equal but for the order of a sum
    seen.insert(std::string(q.format->name) + (q.weighted ? " weighted" : ""));
  });
  for (const char* name :
       {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"}) {
    CHECK(seen.count(name) == 1);
    CHECK(seen.count(std::string(name) + " weighted") == 1);
  }
}

TEST_CASE("the comparison notices an encoder that does not look at the importance") {
  const FormatInfo& q4 = *find_format(std::string_view("Q4_0"));
  const std::string folder = test::golden("quants");
  if (!std::filesystem::exists(folder + "/quantize.json")) return;
  EncoderPlan plan{{&q4}, {}};
  double weighted_error = 0, plain_error = 0;
  compare_encoders(plan, folder, [&](const EncoderQuality& q) {
    if (q.rows == "gauss") (q.weighted ? weighted_error : plain_error) = q.ours;
  });
  CHECK(weighted_error < 0.99 * plain_error);
}

TEST_CASE("every encoder is timed on every instruction set, with and without importance") {
  EncoderPlan plan = whole_encoder_plan();
  plan.seconds = 0;
  std::size_t n = 0;
  time_encoders(plan, [&](const EncoderSpeed& s) {
    CHECK(s.weights_per_second > 0);
    CHECK(s.weights_per_second < 1e12);
    ++n;
  });
  CHECK(n == plan.formats.size() * plan.isas.size() * 2);
  CHECK(plan.formats.size() >= 15);
}

}  // namespace coterie::bench
