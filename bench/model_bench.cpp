#include "bench/model_bench.h"

#include "base/memory.h"
#include "bench/probe.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <thread>

namespace coterie::bench {

namespace {

std::vector<double> sorted(std::vector<double> values) {
  std::ranges::sort(values);
  return values;
}

double middle(const std::vector<double>& values) {
  const std::vector<double> s = sorted(values);
  const std::size_t half = s.size() / 2;
  return s.size() % 2 == 1 ? s[half] : (s[half - 1] + s[half]) / 2;
}

std::vector<Token> random_tokens(std::int64_t n, std::int64_t n_vocab, std::mt19937& random) {
  std::vector<Token> tokens(static_cast<std::size_t>(n));
  for (Token& t : tokens) t = static_cast<Token>(random() % static_cast<std::uint32_t>(n_vocab));
  return tokens;
}

std::vector<Measurement> list_tests(const Engine& engine, const BenchPlan& plan) {
  std::vector<Measurement> tests;
  const auto add = [&](Role role, std::int64_t depth, std::int64_t tokens, std::int64_t steps) {
    tests.push_back({role, depth, tokens, steps, engine.token_cost(depth)});
  };
  for (const std::int64_t depth : plan.depths) {
    for (const std::int64_t prompt : plan.prompts) add(Role::prompt, depth, prompt, 1);
    if (plan.steps == 0) continue;
    for (const std::int64_t batch : plan.batches)
      if (depth == plan.depths.front() || batch == 1) add(Role::decode, depth, batch, plan.steps);
  }
  if (plan.busy > 0 && plan.steps > 0) {
    add(Role::decode, plan.depths.front(), 1, plan.steps);
    tests.back().busy = plan.busy;
  }
  return tests;
}

// Processes that do nothing but compute, as long as this lives.
class BusyNeighbours {
 public:
  explicit BusyNeighbours(int n) {
    for (int i = 0; i < n; ++i)
      if (const pid_t child = fork(); child == 0)
        spin();
      else if (child > 0)
        children_.push_back(child);
    if (n > 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));  // until each has its core
  }
  ~BusyNeighbours() {
    for (const pid_t child : children_) {
      kill(child, SIGKILL);
      waitpid(child, nullptr, 0);
    }
  }
  BusyNeighbours(const BusyNeighbours&) = delete;
  BusyNeighbours& operator=(const BusyNeighbours&) = delete;

 private:
  [[noreturn]] static void spin() {
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // never survives this program
    for (volatile unsigned n = 0;;) n = n + 1;
  }
  std::vector<pid_t> children_;
};

double run_once(Session& session, const Measurement& test, std::int64_t n_vocab, std::mt19937& random) {
  session.pretend(test.depth);
  if (test.role == Role::decode)  // one step to warm up
    session.feed(random_tokens(test.tokens, n_vocab, random), test.role);
  std::vector<std::vector<Token>> steps;
  for (std::int64_t i = 0; i < test.steps; ++i) steps.push_back(random_tokens(test.tokens, n_vocab, random));
  const BusyNeighbours busy(test.busy);
  const auto start = std::chrono::steady_clock::now();
  for (const std::vector<Token>& tokens : steps) session.feed(tokens, test.role);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

double Measurement::median() const { return rate(middle(seconds)); }
double Measurement::lowest() const { return rate(sorted(seconds).back()); }
double Measurement::highest() const { return rate(sorted(seconds).front()); }

double Measurement::share_of_limit(double cost_of_token) const {
  std::vector<double> shares;
  for (std::size_t i = 0; i < std::min(seconds.size(), limits.size()); ++i)
    if (limits[i] > 0) shares.push_back(rate(seconds[i]) * cost_of_token / limits[i]);
  return shares.empty() ? 0 : middle(shares);
}

double Measurement::kept_of(const Measurement& quiet) const {
  std::vector<double> shares;
  for (std::size_t i = 0; i < std::min(seconds.size(), quiet.seconds.size()); ++i)
    shares.push_back(rate(seconds[i]) / quiet.rate(quiet.seconds[i]));
  return shares.empty() ? 0 : middle(shares);
}

double Measurement::median_of(std::size_t rival) const {
  return rival < rivals.size() && !rivals[rival].empty() ? middle(rivals[rival]) : 0;
}

double Measurement::median_ratio(std::size_t rival) const {
  if (median_of(rival) == 0) return 0;
  std::vector<double> ratios;
  for (std::size_t i = 0; i < std::min(seconds.size(), rivals[rival].size()); ++i)
    ratios.push_back(rate(seconds[i]) / rivals[rival][i]);
  return middle(ratios);
}

std::int64_t context_of(const BenchPlan& plan) {
  const std::int64_t deepest = plan.depths.empty() ? 0 : std::ranges::max(plan.depths);
  const std::int64_t widest = plan.batches.empty() ? 1 : std::ranges::max(plan.batches);
  const std::int64_t longest = plan.prompts.empty() ? 0 : std::ranges::max(plan.prompts);
  return deepest + std::max(longest, (plan.steps + 1) * widest);
}

BenchPlan fitting(BenchPlan plan, const Engine& engine) {
  const std::int64_t row = engine.model().cache_bytes_per_position(engine.options().cache);
  const auto memory = static_cast<std::int64_t>(available_memory() / 2);
  const std::int64_t most =
      std::min(engine.model().sizes().context_length, memory / std::max<std::int64_t>(row, 1));
  const auto too_deep = [&](std::int64_t depth) {
    BenchPlan one = plan;
    one.depths = {depth};
    return context_of(one) > most;
  };
  std::erase_if(plan.depths, too_deep);
  return plan;
}

std::vector<Measurement> measure(const Engine& engine, const BenchPlan& plan, const BenchProgress& progress) {
  std::vector<Measurement> tests = list_tests(engine, plan);
  Session session(engine);
  std::mt19937 random(1);  // the same tokens in every run
  const EngineOptions& o = engine.options();
  ReadProbe reads(o.threads);
  const auto limit = [&](const Measurement& test) {
    if (test.role == Role::decode) return reads.measure();
    return measure_byte_peak(o.kernels != nullptr ? *o.kernels : kernels(), o.threads);
  };
  const double n = static_cast<double>(tests.size()) * plan.repetitions;
  double done = 0;
  // Not counted: the first prompt and the first steps touch pages that nobody has touched yet.
  for (const Role role : {Role::prompt, Role::decode}) {
    const auto first = std::ranges::find(tests, role, &Measurement::role);
    if (first == tests.end()) continue;
    progress(0, *first);
    run_once(session, *first, engine.n_vocab(), random);
  }
  for (int i = 0; i < plan.repetitions; ++i)
    for (Measurement& test : tests) {
      progress(done++ / n, test);
      const double before = limit(test);
      test.seconds.push_back(run_once(session, test, engine.n_vocab(), random));
      test.limits.push_back((before + limit(test)) / 2);
    }
  return tests;
}

}  // namespace coterie::bench
