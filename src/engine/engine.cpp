#include "engine/engine.h"

#include "base/cpu.h"
#include "base/errors.h"
#include "engine/resident.h"
#include "gguf/reader.h"
#include "text/tokenizer.h"

#include <algorithm>
#include <string_view>

namespace coterie {

namespace {

// What a session gets when nobody asked: enough for a long answer, without reserving gigabytes.
constexpr std::int64_t default_context = 16384;

std::int64_t choose_context(const Model& model, std::int64_t wanted) {
  const std::int64_t trained = model.sizes().context_length;
  return wanted > 0 ? wanted : std::min(trained, default_context);
}

SamplingHints read_hints(const gguf::Reader& file) {
  SamplingHints hints;
  if (file.has("general.sampling.temp")) hints.temperature = file.number("general.sampling.temp");
  if (file.has("general.sampling.top_p")) hints.top_p = file.number("general.sampling.top_p");
  if (file.has("general.sampling.top_k"))
    hints.top_k = static_cast<int>(file.integer("general.sampling.top_k", 0, 1 << 30));
  return hints;
}

}  // namespace

Engine::Engine(const std::string& path, const EngineOptions& options) : options_(options) {
  const auto progress = [&](double fraction, const char* what) {
    if (options_.progress) options_.progress(fraction, what);
  };
  if (options_.threads <= 0) options_.threads = physical_cores();
  progress(0.0, "reading metadata");
  file_ = std::make_unique<gguf::Reader>(path);
  if (options_.huge_pages) {
    Team team(options_.threads);
    resident_ = std::make_unique<Resident>(*file_, team, *options_.huge_pages, [&](double share) {
      progress(0.3 * share, "copying the weights into huge pages");
    });
  }
  progress(0.3, "finding tensors");
  model_ = load_model(*file_);
  progress(0.5, "building the tokenizer");
  Vocabulary vocabulary = read_vocabulary(*file_);
  const auto n_tokens = static_cast<std::int64_t>(vocabulary.tokens.size());
  if (n_tokens != model_->sizes().n_vocab)
    throw ModelError(path + ": key tokenizer.ggml.tokens: " + std::to_string(n_tokens) +
                     " tokens, expected one for each of the " + std::to_string(model_->sizes().n_vocab) +
                     " rows of token_embd.weight");
  tokenizer_ = std::make_unique<text::Tokenizer>(std::move(vocabulary));
  template_ = std::string(file_->text("tokenizer.chat_template", std::string_view{}));
  hints_ = read_hints(*file_);
  options_.context = choose_context(*model_, options_.context);
  progress(1.0, "ready");
}

Engine::~Engine() = default;

const gguf::Reader& Engine::file() const { return *file_; }
const text::Tokenizer& Engine::tokenizer() const { return *tokenizer_; }
const std::string& Engine::chat_template() const { return template_; }
std::int64_t Engine::n_vocab() const { return model_->sizes().n_vocab; }
std::int64_t Engine::context() const { return options_.context; }
TokenCost Engine::token_cost(std::int64_t position) const {
  return model_->token_cost(position, options_.cache);
}

}  // namespace coterie
