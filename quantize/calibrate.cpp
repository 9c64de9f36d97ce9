#include "quantize/calibrate.h"

#include "base/errors.h"
#include "base/output_file.h"
#include "quantize/calibrate_state.h"
#include "quantize/collector.h"
#include "quantize/imatrix.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <numeric>

namespace coterie::quantize {

namespace {

using Windows = std::vector<std::vector<Token>>;

// What must be the same for a state to be continued. Of the model: its metadata, and the beginning of every tensor.
Fingerprint fingerprint_of(const gguf::Reader& file, const Windows& windows, const CalibrateOptions& o) {
  XXH3_state_t hash;
  XXH3_128bits_reset(&hash);
  const auto add = [&](const void* data, std::size_t bytes) { XXH3_128bits_update(&hash, data, bytes); };
  for (const auto& [key, value] : file.keys()) add(value.bytes.data(), value.bytes.size());
  for (const gguf::TensorInfo& t : file.tensors()) {
    add(t.name.data(), t.name.size());
    add(t.shape.data(), sizeof t.shape);
    add(t.data, static_cast<std::size_t>(std::min<std::uint64_t>(t.bytes, 4096)));
  }
  for (const std::int64_t n : {o.window, o.min_tokens}) add(&n, sizeof n);
  for (const std::vector<Token>& window : windows) {
    const std::uint64_t n = window.size();
    add(&n, sizeof n);
    add(window.data(), window.size() * sizeof(Token));
  }
  const XXH128_hash_t sum = XXH3_128bits_digest(&hash);
  return {sum.low64, sum.high64};
}

// -log p of a token.
double loss_of(std::span<const float> logits, Token token) {
  const float largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float x : logits) sum += std::exp(x - largest);
  return largest + std::log(sum) - logits[static_cast<std::size_t>(token)];
}

class Calibration {
 public:
  Calibration(const gguf::Reader& file, const Model& model, const Windows& windows, const CalibrateOptions& o)
      : file_(file),
        model_(model),
        windows_(windows),
        options_(o),
        team_(o.threads),
        cpu_(kernels(), team_),
        collector_(file, o.min_tokens),
        state_path_(o.output + ".state"),
        fingerprint_(fingerprint_of(file, windows, o)),
        step_tokens_(std::min(o.window, o.step_tokens)),
        logits_(step_tokens_ * model.sizes().n_vocab, "logits"),
        losses_(static_cast<std::size_t>(step_tokens_)) {
    check_target(o.output);
    state_ =
        model.new_state(cpu_, {.positions = o.window, .max_tokens = step_tokens_, .cache = CacheType::f32});
    cpu_.set_observer(&collector_);
    if (o.restart) std::filesystem::remove(state_path_);
    done_ = load_state(state_path_, fingerprint_, collector_);
    resumed_at_ = done_.first_reading + done_.second_reading;
    for (std::int64_t at = 0; const std::vector<Token>& window : windows) {
      first_token_.push_back(at);
      at += static_cast<std::int64_t>(window.size());
    }
  }

  CalibrateResult run();

 private:
  using Clock = std::chrono::steady_clock;
  std::int64_t n_windows() const { return static_cast<std::int64_t>(windows_.size()); }
  void read_window(std::int64_t window, bool second);
  void step(std::int64_t window, std::int64_t first, std::int64_t n, bool with_logits);
  void after_window(std::int64_t total);
  std::vector<std::int64_t> starved_windows() const;
  void write();
  Coverage coverage_of(const RoutedSums& layer) const;
  CalibrateResult result();

  const gguf::Reader& file_;
  const Model& model_;
  const Windows& windows_;
  const CalibrateOptions& options_;
  Team team_;
  Cpu cpu_;
  Collector collector_;
  std::unique_ptr<ModelState> state_;
  std::string state_path_;
  Fingerprint fingerprint_;
  std::int64_t step_tokens_;
  Buffer<float> logits_;                   // [step_tokens, n_vocab]
  std::vector<double> losses_;             // [step_tokens]
  std::vector<std::int64_t> first_token_;  // of each window, counted through the text
  Done done_;
  std::int64_t resumed_at_ = 0;
  Clock::time_point saved_ = Clock::now();
};

// One step of the model. Losses are added in the order of the tokens, whoever computed them.
void Calibration::step(std::int64_t window, std::int64_t first, std::int64_t n, bool with_logits) {
  const std::vector<Token>& tokens = windows_[static_cast<std::size_t>(window)];
  const std::int64_t n_vocab = model_.sizes().n_vocab;
  const std::int64_t scored = std::min(n, static_cast<std::int64_t>(tokens.size()) - 1 - first);
  collector_.at_token(first_token_[static_cast<std::size_t>(window)] + first);
  const Step step{
      .tokens = std::span(tokens).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(n)),
      .position = first,
      .role = Role::prompt,
      .n_logits = with_logits ? n : 0,
      .logits = logits_.data(),
      .routes = nullptr};
  team_.step([&] {
    model_.forward(cpu_, *state_, step);
    if (!with_logits) return;
    team_.run(static_cast<int>(scored), [&](int i, int) {
      losses_[static_cast<std::size_t>(i)] =
          loss_of({logits_.data() + i * n_vocab, static_cast<std::size_t>(n_vocab)},
                  tokens[static_cast<std::size_t>(first + i + 1)]);
    });
  });
  file_.check_io();
  if (!with_logits) return;
  for (std::int64_t i = 0; i < scored; ++i) done_.loss += losses_[static_cast<std::size_t>(i)];
  done_.losses += scored;
  if (!std::isfinite(done_.loss))
    throw ModelError(file_.path() + ": found logits that are not finite in window " + std::to_string(window));
}

void Calibration::read_window(std::int64_t window, bool second) {
  const std::int64_t start = first_token_[static_cast<std::size_t>(window)];
  auto end = static_cast<std::int64_t>(windows_[static_cast<std::size_t>(window)].size());
  for (std::int64_t first = 0; first < end; first += step_tokens_) {
    if (second && !collector_.needs(start + first, end - first)) return;
    step(window, first, std::min(step_tokens_, end - first), !second);
  }
}

// From here on the work so far may be continued from the disk.
void Calibration::after_window(std::int64_t total) {
  const std::int64_t done = done_.first_reading + done_.second_reading;
  const bool stop = options_.cancelled && options_.cancelled();
  const std::chrono::duration<double> since = Clock::now() - saved_;
  if (done < total && (stop || since.count() >= options_.save_seconds)) {
    save_state(state_path_, fingerprint_, done_, collector_);
    saved_ = Clock::now();
  }
  if (stop && done < total)
    throw Error("interrupted after " + std::to_string(done) + " of " + std::to_string(total) +
                    " windows; the same command continues there",
                130);
  if (options_.progress) options_.progress(done, total);
}

std::vector<std::int64_t> Calibration::starved_windows() const {
  std::vector<std::int64_t> starved;
  for (std::int64_t w = 0; w < n_windows(); ++w) {
    const auto i = static_cast<std::size_t>(w);
    if (collector_.needs(first_token_[i], static_cast<std::int64_t>(windows_[i].size())))
      starved.push_back(w);
  }
  return starved;
}

CalibrateResult Calibration::run() {
  while (done_.first_reading < n_windows()) {
    read_window(done_.first_reading++, false);
    after_window(n_windows() + 1);  // the second reading is yet unknown
  }
  collector_.plan_second_reading();
  const std::vector<std::int64_t> starved = starved_windows();
  const std::int64_t total = n_windows() + static_cast<std::int64_t>(starved.size());
  while (done_.first_reading + done_.second_reading < total) {
    read_window(starved[static_cast<std::size_t>(done_.second_reading++)], true);
    after_window(total);
  }
  write();
  std::filesystem::remove(state_path_);
  return result();
}

// A stack by head is one row with one count, as llama.cpp has it; every head met every token.
void Calibration::write() {
  ImportanceHeader header{{options_.dataset}, n_windows(), options_.window, {}};
  std::vector<ImportanceSums> sums;
  for (const TensorSums& t : collector_.tensors()) {
    if (!t.seen()) continue;
    const std::span<const double> values = t.sums.span();
    if (!std::all_of(values.begin(), values.end(),
                     [](double x) { return std::isfinite(static_cast<float>(x)); }))
      throw ModelError(file_.path() + ": " + std::string(t.tensor->name) +
                       ": found activations that are not finite");
    sums.push_back(
        {std::string(t.tensor->name), values, std::span(t.counts).first(t.by_expert ? t.counts.size() : 1)});
  }
  std::sort(sums.begin(), sums.end(),
            [](const ImportanceSums& a, const ImportanceSums& b) { return a.tensor < b.tensor; });
  for (const RoutedSums& layer : collector_.layers())
    for (const TensorSums* stack : layer.stacks)
      for (std::size_t e = 0; e < layer.experts.size(); ++e)
        if (const std::int64_t n = layer.experts[e].forced; n > 0)
          header.forced.push_back({std::string(stack->tensor->name), static_cast<std::int64_t>(e), n});
  write_importance(options_.output, header, sums);
}

Coverage Calibration::coverage_of(const RoutedSums& layer) const {
  Coverage c;
  c.stack = layer.stacks[0]->tensor->name;
  c.experts = static_cast<std::int64_t>(layer.experts.size());
  std::vector<std::int64_t> tokens;
  for (std::size_t e = 0; e < layer.experts.size(); ++e) {
    tokens.push_back(layer.routed(e));
    c.forced_experts += layer.experts[e].forced > 0 ? 1 : 0;
    c.forced_tokens += layer.experts[e].forced;
  }
  std::sort(tokens.begin(), tokens.end());
  c.min = tokens.front();
  c.median = tokens[tokens.size() / 2];
  c.max = tokens.back();
  c.unreached = std::count(tokens.begin(), tokens.end(), 0);
  return c;
}

CalibrateResult Calibration::result() {
  CalibrateResult r;
  r.windows = n_windows();
  r.resumed_at = resumed_at_;
  for (const std::vector<Token>& window : windows_) r.tokens += static_cast<std::int64_t>(window.size());
  r.perplexity = std::exp(done_.loss / static_cast<double>(std::max<std::int64_t>(1, done_.losses)));
  for (const TensorSums& t : collector_.tensors())
    if (t.seen())
      ++r.entries;
    else
      r.unseen.emplace_back(t.tensor->name);
  for (const RoutedSums& layer : collector_.layers()) r.layers.push_back(coverage_of(layer));
  return r;
}

}  // namespace

CalibrateResult calibrate(const gguf::Reader& file, const Model& model, const Windows& windows,
                          const CalibrateOptions& options) {
  return Calibration(file, model, windows, options).run();
}

}  // namespace coterie::quantize
