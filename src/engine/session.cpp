#include "base/errors.h"
#include "base/memory.h"
#include "device/cpu/team.h"
#include "engine/engine.h"
#include "gguf/reader.h"

#include <algorithm>
#include <string>

namespace coterie {

struct Session::State {
  explicit State(const Engine& engine);

  Team team;
  Cpu cpu;
  std::unique_ptr<ModelState> model;
  Buffer<float> logits;  // [rows, n_vocab]: one row, or a chunk of them once feed_all was called
  std::vector<RouteRecord>* routes = nullptr;
};

Session::State::State(const Engine& engine)
    : team(engine.options().threads),
      cpu(engine.options().kernels != nullptr ? *engine.options().kernels : kernels(), team),
      logits(engine.n_vocab(), "logits") {
  const EngineOptions& o = engine.options();
  const std::int64_t cache = engine.model().cache_bytes_per_position(o.cache) * engine.context();
  require_memory(static_cast<std::uint64_t>(cache),
                 "KV cache for " + std::to_string(engine.context()) + " positions");
  model = engine.model().new_state(cpu, {.positions = engine.context(),
                                         .max_tokens = std::min<std::int64_t>(o.chunk, engine.context()),
                                         .cache = o.cache});
}

Session::Session(const Engine& engine) : engine_(engine), state_(std::make_unique<State>(engine)) {}
Session::~Session() = default;

void Session::check(std::span<const Token> tokens) const {
  for (const Token id : tokens)
    if (id < 0 || id >= engine_.n_vocab())
      throw UsageError("token " + std::to_string(id) + ": expected an id from 0 to " +
                       std::to_string(engine_.n_vocab() - 1));
  const std::int64_t end = static_cast<std::int64_t>(tokens_.size() + tokens.size());
  if (end > engine_.context())
    throw ModelError("context is full: " + std::to_string(end) + " tokens, at most " +
                     std::to_string(engine_.context()) + " (--ctx)");
}

// One step: [first, first + n) of tokens, at position tokens_.size() + first.
void Session::step(std::span<const Token> tokens, std::int64_t first, std::int64_t n, Role role,
                   std::int64_t n_logits) {
  State& s = *state_;
  const Step step{.tokens = tokens.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(n)),
                  .position = static_cast<std::int64_t>(tokens_.size()) + first,
                  .role = role,
                  .n_logits = n_logits,
                  .logits = s.logits.data(),
                  .routes = s.routes};
  const Span span(s.cpu.profile(), role == Role::prompt ? "prompt" : "decode");
  s.team.step([&] { engine_.model().forward(s.cpu, *s.model, step); });
  engine_.file().check_io();
}

std::span<const float> Session::feed(std::span<const Token> tokens, Role role,
                                     const std::function<bool()>& cancelled) {
  check(tokens);
  const auto total = static_cast<std::int64_t>(tokens.size());
  const std::int64_t chunk = engine_.options().chunk;
  for (std::int64_t first = 0; first < total; first += chunk) {
    if (cancelled && cancelled()) return {};
    const std::int64_t n = std::min(chunk, total - first);
    step(tokens, first, n, role, first + n == total ? 1 : 0);
  }
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
  return {state_->logits.data(), static_cast<std::size_t>(engine_.n_vocab())};
}

void Session::feed_all(std::span<const Token> tokens, Role role,
                       const std::function<void(std::int64_t position, std::span<const float>)>& sink) {
  check(tokens);
  const auto total = static_cast<std::int64_t>(tokens.size());
  const std::int64_t n_vocab = engine_.n_vocab();
  // Every token's logits are many bytes.
  constexpr std::int64_t max_rows = 512;
  const std::int64_t chunk = std::min({std::int64_t{engine_.options().chunk}, engine_.context(), max_rows});
  if (state_->logits.size() < std::min(chunk, total) * n_vocab)
    state_->logits = Buffer<float>(std::min(chunk, total) * n_vocab, "logits");
  for (std::int64_t first = 0; first < total; first += chunk) {
    const std::int64_t n = std::min(chunk, total - first);
    step(tokens, first, n, role, n);
    for (std::int64_t i = 0; i < n; ++i)
      sink(static_cast<std::int64_t>(tokens_.size()) + first + i,
           {state_->logits.data() + i * n_vocab, static_cast<std::size_t>(n_vocab)});
  }
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
}

void Session::truncate(std::int64_t n) {
  if (n < 0 || n > static_cast<std::int64_t>(tokens_.size()))
    throw UsageError("cannot go back to position " + std::to_string(n) + ": the timeline has " +
                     std::to_string(tokens_.size()) + " tokens");
  tokens_.resize(static_cast<std::size_t>(n));
}

void Session::pretend(std::int64_t n) {
  tokens_.resize(static_cast<std::size_t>(std::min(n, engine_.context())));
  for (CacheRows* rows : state_->model->caches())
    rows->fill(state_->cpu.kernels(), static_cast<std::int64_t>(tokens_.size()));
}

void Session::record_profile(Profile* profile) { state_->cpu.set_profile(profile); }

void Session::record_routes(std::vector<RouteRecord>* out) { state_->routes = out; }

}  // namespace coterie
