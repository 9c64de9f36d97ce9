// Feed-forward networks: how often the team has to meet, and the same bits however the work is cut.
#include "device/cpu/feed_forward.h"

#include "base/nodes.h"

#include <doctest/doctest.h>

#include <cstring>
#include <random>

namespace coterie {

namespace {

constexpr std::int64_t dim = 512, inner = 768, n_experts = 8, per_token = 3;

// A stack of random matrices in one format.
struct Weights {
  Weights(const char* format, std::int64_t n, std::int64_t rows, std::int64_t count) {
    const FormatInfo* f = find_format(format);
    std::mt19937 random(static_cast<unsigned>(n + rows));
    std::normal_distribution<float> normal(0.0F, 0.05F);
    std::vector<float> w(static_cast<std::size_t>(n));
    data.resize(static_cast<std::size_t>(f->row_bytes(n) * rows * count));
    // Encoders search, and under an emulator they do so for minutes: few rows are made, a prime number of them, so that
    // rows and matrices that are taken for others differ.
    constexpr std::int64_t distinct = 23;
    const std::int64_t bytes = f->row_bytes(n);
    for (std::int64_t r = 0; r < rows * count; ++r) {
      std::byte* row = data.data() + r * bytes;
      if (r >= distinct) {
        std::memcpy(row, row - distinct * bytes, static_cast<std::size_t>(bytes));
        continue;
      }
      for (float& x : w) x = normal(random);
      kernels().encode[f->index](w.data(), nullptr, n, row);
    }
    matrix = {data.data(), f, n, rows, count};
  }
  std::vector<std::byte> data;
  Matrix matrix;
};

struct Network {
  Network(const char* format, std::int64_t count)
      : gate(format, dim, inner, count), up(format, dim, inner, count), down(format, inner, dim, count) {}
  FeedForward get() const { return {gate.matrix, up.matrix, down.matrix}; }
  Weights gate, up, down;
};

struct Layer {
  explicit Layer(const char* format) : experts(format, n_experts), shared(format, 1) {}
  Network experts, shared;
};

Routes choose(std::int64_t n_tokens) {
  Routes routes{.per_token = per_token, .ids = {}, .weights = {}};
  for (std::int64_t i = 0; i < n_tokens * per_token; ++i) {
    routes.ids.push_back(static_cast<int>(i * 5 % n_experts));
    routes.weights.push_back(0.25F + static_cast<float>(i % 7));
  }
  return routes;
}

struct Result {
  std::vector<float> x;
  std::int64_t barriers;
};

// All tokens, so many at once.
Result run(const Layer& layer, Team& team, std::int64_t n_tokens, std::int64_t at_once) {
  const FeedForward routed = layer.experts.get(), plain = layer.shared.get();
  Cpu cpu(kernels(), team);
  FeedForwardRunner runner(cpu, {at_once, dim, per_token, n_experts, inner, inner});
  Activations h(at_once, dim, "test");
  Result r{std::vector<float>(static_cast<std::size_t>(n_tokens * dim), 1.0F), team.barriers()};
  for (std::int64_t first = 0; first < n_tokens; first += at_once) {
    const std::int64_t n = std::min(at_once, n_tokens - first);
    for (std::int64_t i = 0; i < n * dim; ++i)
      h.floats()[i] = static_cast<float>((first * dim + i) % 97) / 97 - 0.5F;
    h.changed();
    Routes routes = choose(n_tokens);
    routes.ids.erase(routes.ids.begin(), routes.ids.begin() + first * per_token);
    routes.weights.erase(routes.weights.begin(), routes.weights.begin() + first * per_token);
    float* const x = r.x.data() + first * dim;
    team.step([&] {
      runner.moe(cpu, {routed, &plain, routes}, h, n, x);
      runner.dense(cpu, plain, h, n, x);
    });
  }
  r.barriers = team.barriers() - r.barriers;
  return r;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace

TEST_CASE("a layer of experts has two barriers for one token, and as many for each further layer") {
  Team team(2);
  for (const char* format : {"Q4_K", "Q8_0", "F32"}) {
    const Layer layer(format);
    CHECK(run(layer, team, 1, 1).barriers == 2 + 2);  // experts, dense
    CHECK(run(layer, team, 4, 1).barriers == 4 * (2 + 2));
  }
  const Layer floats("F32");  // nothing to quantise
  CHECK(run(floats, team, 7, 7).barriers == 2 + 2);
  CHECK(run(floats, team, 8, 8).barriers == 3 + 3);  // sums have a list of their own
}

TEST_CASE("results are the same bits for any number of nodes, threads and tokens at once") {
  for (const char* format : {"Q4_K", "Q8_0", "F32"}) {
    const Layer layer(format);
    Team alone(1);
    const std::vector<float> expected = run(layer, alone, 20, 1).x;
    for (const int n_nodes : {1, 2, 4})
      for (const int threads : {1, 3, 5})
        for (const std::int64_t at_once : {1, 7, 20}) {
          INFO(format, " nodes ", n_nodes, " threads ", threads, " at once ", at_once);
          Team team(threads, std::vector<MemoryNode>(static_cast<std::size_t>(n_nodes), {0, allowed_cpus()}));
          CHECK(same_bits(run(layer, team, 20, at_once).x, expected));
        }
    std::vector<float> planted = expected;
    planted[3] = -planted[3];
    CHECK_FALSE(same_bits(planted, expected));
  }
}

}  // namespace coterie
