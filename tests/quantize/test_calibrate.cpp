// Calibration: the sums are those of a straightforward forward pass in double, whatever the threads, steps and
// interruptions; starved experts get the tokens that their routers liked best; nothing is dropped unsaid.
//
// The straightforward pass reads windows of one token each: attention then is the value itself and rotations are the
// identity, so that a whole DeepSeek model is a page.
#include "quantize/calibrate.h"

#include "base/errors.h"
#include "models/deepseek/weights.h"
#include "quantize/imatrix.h"
#include "tests/models/reference.h"
#include "tests/models/rewritten.h"
#include "tests/support/gunzip.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

namespace coterie::test {

using quantize::calibrate;
using quantize::CalibrateOptions;
using quantize::CalibrateResult;
using quantize::ImportanceMatrix;
using Windows = std::vector<std::vector<Token>>;
using Vector = std::vector<double>;

namespace {

Windows some_windows(int n, std::size_t size, std::uint32_t seed = 1) {
  Windows windows(static_cast<std::size_t>(n));
  for (std::vector<Token>& w : windows)
    for (std::size_t i = 0; i < size; ++i)
      w.push_back(static_cast<Token>((seed = seed * 1664525U + 1013904223U) >> 8) % 960);
  return windows;
}

struct Loaded {
  explicit Loaded(const std::string& path) : engine(path, exact_options()) {}
  CalibrateResult run(const Windows& windows, const CalibrateOptions& o) const {
    return calibrate(engine.file(), engine.model(), windows, o);
  }
  Engine engine;
};

// How far a mean is from the expected sum / count, relative to the largest of the row.
double error_of(const std::vector<float>& found, const Vector& sums, std::int64_t count) {
  if (found.size() != sums.size() || count == 0) return INFINITY;
  double largest = 0, error = 0;
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const double mean = sums[i] / static_cast<double>(count);
    largest = std::max(largest, mean);
    error = std::max(error, std::abs(static_cast<double>(found[i]) - mean));
  }
  return error / largest;
}

class Plain {
 public:
  struct Row {
    Vector sums;
    std::int64_t count = 0;
  };
  using Key = std::pair<std::string, std::int64_t>;  // tensor, matrix

  explicit Plain(const Engine& engine)
      : engine_(engine), c_(deepseek::read_config(engine.file())), w_(read_weights(engine.file(), c_)) {}

  void read(Token token);
  // Forces the tokens that each starved expert likes best, of those read.
  void force(std::int64_t min_tokens);
  const std::map<Key, Row>& rows() const { return rows_; }
  std::int64_t forced() const { return forced_; }

 private:
  struct Seen {
    Vector h, affinities;  // of one token
    std::vector<int> ids;
  };
  Vector product(const Matrix& w, std::int64_t matrix, const Vector& x);
  static Vector norm(const Vector& x, const float* weight, double eps);
  Vector network(const FeedForward& f, std::int64_t expert, const Vector& h);
  Vector attention(const deepseek::AttentionWeights& a, const Vector& h);
  Vector moe(std::size_t layer, const Vector& h, const RouteRecord& route);

  const Engine& engine_;
  deepseek::Config c_;
  deepseek::Weights w_;
  std::map<Key, Row> rows_;
  std::map<std::size_t, std::vector<Seen>> seen_;  // by layer
  std::int64_t forced_ = 0;
};

// W x, and x seen by W.
Vector Plain::product(const Matrix& w, std::int64_t matrix, const Vector& x) {
  std::string name;
  for (const gguf::TensorInfo& t : engine_.file().tensors())
    if (t.data == w.data) name = t.name;
  Row& row = rows_[{name, matrix}];
  row.sums.resize(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) row.sums[i] += x[i] * x[i];
  ++row.count;
  Vector y(static_cast<std::size_t>(w.rows));
  for (std::int64_t r = 0; r < w.rows; ++r) {
    const float* weights = reinterpret_cast<const float*>(w.at(matrix).row(r));
    for (std::size_t i = 0; i < x.size(); ++i) y[static_cast<std::size_t>(r)] += double{weights[i]} * x[i];
  }
  return y;
}

Vector Plain::norm(const Vector& x, const float* weight, double eps) {
  double sum = 0;
  for (const double v : x) sum += v * v;
  Vector y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i)
    y[i] = x[i] / std::sqrt(sum / static_cast<double>(x.size()) + eps) * double{weight[i]};
  return y;
}

Vector Plain::network(const FeedForward& f, std::int64_t expert, const Vector& h) {
  Vector inner = product(f.gate, expert, h);
  const Vector up = product(f.up, expert, h);
  for (std::size_t i = 0; i < inner.size(); ++i) inner[i] *= up[i] / (1 + std::exp(-inner[i]));
  return product(f.down, expert, inner);
}

Vector Plain::attention(const deepseek::AttentionWeights& a, const Vector& h) {
  const Vector q = product(a.attn_q_b, 0, norm(product(a.attn_q_a, 0, h), a.attn_q_a_norm, c_.norm_eps));
  Vector latent = product(a.attn_kv_a_mqa, 0, h);
  latent.resize(static_cast<std::size_t>(c_.kv_lora_rank));
  latent = norm(latent, a.attn_kv_a_norm, c_.norm_eps);
  Vector out;
  for (std::int64_t head = 0; head < c_.n_heads; ++head) {
    const auto first = q.begin() + head * (c_.nope + c_.rope);
    product(a.attn_k_b, head, Vector(first, first + c_.nope));  // one position: its score does not matter
    const Vector values = product(a.attn_v_b, head, latent);
    out.insert(out.end(), values.begin(), values.end());
  }
  return product(a.attn_output, 0, out);
}

Vector Plain::moe(std::size_t layer, const Vector& h, const RouteRecord& route) {
  const MoeWeights& m = w_.layers[layer].moe;
  Vector affinities = product(m.ffn_gate_inp, 0, h);
  for (double& a : affinities) a = 1 / (1 + std::exp(-a));
  seen_[layer].push_back({h, affinities, route.ids[0]});
  Vector sum = network(m.shared, 0, h);
  for (std::size_t rank = 0; rank < route.ids[0].size(); ++rank) {
    const Vector y = network(m.experts, route.ids[0][rank], h);
    for (std::size_t i = 0; i < y.size(); ++i) sum[i] += double{route.weights[0][rank]} * y[i];
  }
  return sum;
}

void Plain::read(Token token) {
  std::vector<RouteRecord> routes;
  all_logits(engine_, std::array{token}, Role::prompt, &routes);
  const auto add = [](Vector& x, const Vector& y) {
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += y[i];
  };
  const float* row = reinterpret_cast<const float*>(w_.token_embd.row(token));
  Vector x(row, row + c_.dim);
  for (std::size_t layer = 0; layer < w_.layers.size(); ++layer) {
    const deepseek::LayerWeights& l = w_.layers[layer];
    add(x, attention(l.attention, norm(x, l.attention.attn_norm, c_.norm_eps)));
    const Vector h = norm(x, l.ffn_norm, c_.norm_eps);
    const auto route = std::find_if(routes.begin(), routes.end(),
                                    [&](const RouteRecord& r) { return r.layer == static_cast<int>(layer); });
    add(x, route == routes.end() ? network(l.dense, 0, h) : moe(layer, h, *route));
  }
  product(w_.output, 0, norm(x, w_.output_norm, c_.norm_eps));
}

void Plain::force(std::int64_t min_tokens) {
  for (const auto& [layer, seen] : seen_) {
    const FeedForward& experts = w_.layers[layer].moe.experts;
    for (int e = 0; e < c_.routing.n_experts; ++e) {
      std::vector<const Seen*> others;
      for (const Seen& s : seen)
        if (std::find(s.ids.begin(), s.ids.end(), e) == s.ids.end()) others.push_back(&s);
      const auto missing = min_tokens - static_cast<std::int64_t>(seen.size() - others.size());
      std::stable_sort(others.begin(), others.end(), [&](const Seen* a, const Seen* b) {
        return a->affinities[static_cast<std::size_t>(e)] > b->affinities[static_cast<std::size_t>(e)];
      });
      for (std::int64_t i = 0; i < std::min(missing, static_cast<std::int64_t>(others.size()));
           ++i, ++forced_)
        network(experts, e, others[static_cast<std::size_t>(i)]->h);
    }
  }
}

// The largest error over all rows; what the file has besides is an error too.
double largest_error(const Plain& plain, const ImportanceMatrix& found) {
  double error = 0;
  std::map<std::string, int> names;
  for (const auto& [key, row] : plain.rows()) {
    ++names[key.first];
    const auto n = static_cast<std::int64_t>(row.sums.size());
    error = std::max(error, error_of(found.weights(key.first, n, key.second), row.sums, row.count));
    if (found.tokens(key.first, key.second) != row.count) error = INFINITY;
  }
  return found.names().size() == names.size() ? error : INFINITY;
}

}  // namespace

TEST_CASE("the sums are those of a straightforward forward pass, forced tokens included") {
  const ScratchDir folder;
  const Loaded model(converted("v3-yarn", "F32"));
  const Windows windows = some_windows(24, 1);
  constexpr std::int64_t min_tokens = 5;
  Plain plain(model.engine), shorter(model.engine), unforced(model.engine);
  for (const std::vector<Token>& w : windows) plain.read(w[0]), unforced.read(w[0]);
  for (std::size_t i = 1; i < windows.size(); ++i) shorter.read(windows[i][0]);
  plain.force(min_tokens);
  shorter.force(min_tokens);
  REQUIRE(plain.forced() > 0);

  const CalibrateOptions o{
      .output = folder.file("x.gguf"), .dataset = "t", .window = 1, .min_tokens = min_tokens};
  const CalibrateResult result = model.run(windows, o);
  const ImportanceMatrix found(o.output);
  CHECK(largest_error(plain, found) < 1e-4);
  // The comparison notices a token left out, and experts left starved.
  CHECK(largest_error(shorter, found) > 1e-3);
  CHECK(largest_error(unforced, found) > 1e-3);

  std::int64_t forced = 0, noted = 0;
  for (const quantize::Coverage& c : result.layers) forced += c.forced_tokens;
  for (const quantize::ForcedExpert& f : found.forced()) noted += f.tokens;
  CHECK(forced == plain.forced());
  CHECK(noted == 3 * forced);  // gate, up and down
  CHECK(found.chunk_count() == 24);
  CHECK(found.datasets() == std::vector<std::string>{"t"});
}

TEST_CASE("threads and steps change no byte of the file; a token does") {
  const ScratchDir folder;
  const Loaded model(converted("v3-yarn", "Q8_0"));
  Windows windows = some_windows(3, 70);
  windows.push_back({5, 6, 7});
  CalibrateOptions o{.output = folder.file("x.gguf"), .dataset = "t", .window = 80, .min_tokens = 40};
  const auto bytes = [&] {
    const CalibrateResult r = model.run(windows, o);
    CHECK(r.unseen.empty());
    return std::pair(read_file(o.output), r.perplexity);
  };
  const auto expected = bytes();
  for (const auto& [threads, step] : {std::pair{2, 512}, {3, 7}, {1, 1}}) {
    o.threads = threads;
    o.step_tokens = step;
    CHECK(bytes() == expected);
  }
  windows[1][69] ^= 1;
  CHECK(bytes().first != expected.first);
}

TEST_CASE("a calibration that was interrupted at any window ends in the same bytes") {
  const ScratchDir folder;
  const Loaded model(converted("v3-yarn", "F32"));
  const Windows windows = some_windows(4, 12);
  CalibrateOptions o{.output = folder.file("whole.gguf"), .dataset = "t", .window = 12, .min_tokens = 6};
  std::int64_t total = 0;
  o.progress = [&](std::int64_t, std::int64_t n) { total = n; };
  const CalibrateResult whole = model.run(windows, o);
  const std::vector<std::byte> expected = read_file(o.output);
  REQUIRE(total > 5);  // some windows were read twice

  o.output = folder.file("x.gguf");
  for (std::int64_t stop = 1; stop < total; ++stop) {
    std::int64_t asked = 0;
    o.cancelled = [&] { return ++asked == stop; };
    int code = 0;
    try {
      model.run(windows, o);
    } catch (const Error& e) {
      code = e.exit_code();
    }
    CHECK(code == 130);
    CHECK(!std::filesystem::exists(o.output));
    o.cancelled = {};
    const CalibrateResult resumed = model.run(windows, o);
    CHECK(resumed.resumed_at == stop);
    CHECK(resumed.perplexity == whole.perplexity);
    CHECK(read_file(o.output) == expected);
    CHECK(!std::filesystem::exists(o.output + ".state"));
    std::filesystem::remove(o.output);
  }
}

TEST_CASE("a state of another calibration, or a damaged one, is refused until --restart") {
  const ScratchDir folder;
  const Loaded model(converted("v3-yarn", "F32"));
  const Windows windows = some_windows(2, 12);
  CalibrateOptions o{.output = folder.file("x.gguf"), .dataset = "t", .window = 12};
  const std::string state = o.output + ".state";
  o.cancelled = [] { return true; };
  CHECK_THROWS_AS(model.run(windows, o), Error);
  const std::vector<std::byte> good = read_file(state);
  o.cancelled = {};

  CHECK_THROWS_AS(model.run(some_windows(2, 12, 9), o), UsageError);
  CHECK_THROWS_AS(Loaded(converted("v3-yarn", "Q8_0")).run(windows, o), UsageError);
  o.min_tokens = 31;
  CHECK_THROWS_AS(model.run(windows, o), UsageError);
  o.min_tokens = 32;
  for (const std::size_t n : {std::size_t{0}, std::size_t{9}, good.size() / 2, good.size() - 1}) {
    write_file(state, std::span(good).first(n));
    CHECK_THROWS_AS(model.run(windows, o), FileError);
  }
  std::vector<std::byte> flipped = good;
  flipped[flipped.size() / 2] ^= std::byte{1};
  write_file(state, flipped);
  CHECK_THROWS_AS(model.run(windows, o), FileError);
  o.restart = true;
  CHECK(model.run(windows, o).resumed_at == 0);
}

TEST_CASE("no expert is left without tokens, and what its router sent stays as it was") {
  const ScratchDir folder;
  const Loaded model(converted("v3-yarn", "F32"));
  const Windows windows = some_windows(1, 6);  // too few for all experts
  CalibrateOptions o{.output = folder.file("natural.gguf"), .dataset = "t", .window = 6, .min_tokens = 0};
  const CalibrateResult natural = model.run(windows, o);
  o.output = folder.file("forced.gguf");
  o.min_tokens = 4;
  const CalibrateResult forced = model.run(windows, o);
  const ImportanceMatrix before(folder.file("natural.gguf")), after(o.output);
  CHECK(before.forced().empty());
  REQUIRE(natural.layers.size() == forced.layers.size());
  std::int64_t unreached = 0;
  for (std::size_t l = 0; l < forced.layers.size(); ++l) {
    const quantize::Coverage &a = natural.layers[l], &b = forced.layers[l];
    unreached += a.unreached;
    CHECK(a.forced_tokens == 0);
    CHECK(std::array{a.min, a.median, a.max, a.unreached} == std::array{b.min, b.median, b.max, b.unreached});
    const std::int64_t dim = model.engine.file().find_tensor(a.stack)->shape[0];
    for (std::int64_t e = 0; e < a.experts; ++e) {
      const std::int64_t sent = before.tokens(a.stack, e);
      CHECK(after.tokens(a.stack, e) == std::max<std::int64_t>(sent, 4));
      if (sent >= 4) CHECK(after.weights(a.stack, dim, e) == before.weights(a.stack, dim, e));
    }
  }
  CHECK(unreached > 0);
}

TEST_CASE("every architecture, quantised too: all matrices get their importance") {
  const ScratchDir folder;
  const std::string old_style = folder.file("old.gguf");
  write_old_style(converted("v3-yarn", "F32"), old_style);
  std::vector<std::string> files{old_style};
  for (const char* name : {"r1-distill-llama", "r1-distill-qwen2", "qwen3-moe"})
    files.push_back(converted(name, "Q8_0"));
  if (has_golden("models/v2/config.json")) files.push_back(converted("v2", "Q8_0"));
  for (const std::string& path : files) {
    INFO(path);
    const Loaded model(path);
    const CalibrateOptions o{.output = folder.file("x.gguf"), .dataset = "t", .window = 33};
    const CalibrateResult result = model.run(some_windows(2, 33), o);
    CHECK(result.unseen.empty());
    const ImportanceMatrix found(o.output);
    for (const gguf::TensorInfo& t : model.engine.file().tensors()) {
      if (t.rows() == 1 || t.name == "token_embd.weight") continue;
      INFO(std::string(t.name));
      for (std::int64_t m = 0; m < t.shape[2]; ++m)
        CHECK(found.weights(t.name, t.shape[0], m).size() == static_cast<std::size_t>(t.shape[0]));
    }
  }
}

TEST_CASE("a model whose activations are not finite is an error, not a file") {
  const ScratchDir folder;
  const std::string path = folder.file("nan.gguf");
  rewrite(converted("v3-yarn", "F32"), path,
          {.change = [](const gguf::TensorInfo& t, std::vector<float>& values) {
            if (t.name == "blk.1.attn_norm.weight") values[3] = std::numeric_limits<float>::infinity();
          }});
  const CalibrateOptions o{.output = folder.file("x.gguf"), .dataset = "t", .window = 8};
  CHECK_THROWS_AS(Loaded(path).run(some_windows(1, 8), o), ModelError);
  CHECK(!std::filesystem::exists(o.output));
}

}  // namespace coterie::test
