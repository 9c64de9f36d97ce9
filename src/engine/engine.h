// The engine: one immutable model with its tokenizer and chat template, shared by sessions. A Session is one
// token timeline with its own KV cache. Front ends see tokens, text and logits, never tensors.
#pragma once

#include "models/model.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace coterie::gguf {
class Reader;
}
namespace coterie::text {
class Tokenizer;
}

namespace coterie {

class Resident;

struct EngineOptions {
  int threads = 0;   // 0: physical cores
  int chunk = 2048;  // prompt tokens per step: each expert's weights are unpacked once for all of them
  std::int64_t context = 0;  // cache rows a session may use; 0: the file's context length, at most 16384
  CacheType cache = CacheType::f16;
  std::optional<HugePages>
      huge_pages;  // weights are copied into such pages; none: used where the file is mapped
  const Kernels* kernels = nullptr;                                 // null: what COTERIE_ISA or the CPU says
  std::function<void(double fraction, const char* what)> progress;  // while loading; may be empty
};

// Sampling defaults that the file itself recommends (general.sampling.*), where present.
struct SamplingHints {
  std::optional<float> temperature, top_p;
  std::optional<int> top_k;
};

class Engine {
 public:
  Engine(const std::string& path, const EngineOptions& options);  // throws FileError, ModelError, MemoryError
  ~Engine();

  const EngineOptions& options() const { return options_; }
  const gguf::Reader& file() const;
  const text::Tokenizer& tokenizer() const;
  const std::string& chat_template() const;  // Jinja source, empty: the file has none
  const SamplingHints& sampling_hints() const { return hints_; }
  std::int64_t n_vocab() const;
  std::int64_t context() const;                       // the limit a session gets
  TokenCost token_cost(std::int64_t position) const;  // of one decode step
  const Model& model() const { return *model_; }

 private:
  EngineOptions options_;
  std::unique_ptr<gguf::Reader> file_;
  std::unique_ptr<Resident> resident_;
  std::unique_ptr<text::Tokenizer> tokenizer_;
  std::unique_ptr<Model> model_;
  std::string template_;
  SamplingHints hints_;
};

class Session {
 public:
  explicit Session(const Engine& engine);  // reserves the KV cache; throws MemoryError
  ~Session();

  // Feeds tokens; returns the logits after the last one ([n_vocab], valid until the next call). Throws
  // ModelError when the context is full, FileError when the file could no longer be read, and leaves the
  // timeline as it was before the call. cancelled, if given, is asked between chunks: true stops early and
  // returns an empty span.
  std::span<const float> feed(std::span<const Token> tokens, Role role,
                              const std::function<bool()>& cancelled = {});
  // As feed, and hands every token's logits to the sink in order: [n_vocab] each.
  void feed_all(std::span<const Token> tokens, Role role,
                const std::function<void(std::int64_t position, std::span<const float>)>& sink);

  const std::vector<Token>& tokens() const { return tokens_; }  // the timeline so far
  void truncate(std::int64_t n);                                // forget everything from position n on
  // Makes the timeline n tokens long with rows that mean nothing: only to measure speed at a depth.
  void pretend(std::int64_t n);
  void record_routes(std::vector<RouteRecord>* out);  // nullptr: stop recording
  void record_profile(Profile* profile);              // likewise

 private:
  void check(std::span<const Token> tokens) const;
  void step(std::span<const Token> tokens, std::int64_t first, std::int64_t n, Role role,
            std::int64_t n_logits);

  const Engine& engine_;
  std::vector<Token> tokens_;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace coterie
