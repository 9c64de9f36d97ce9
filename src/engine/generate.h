// One reply: prompt tokens in, pieces of text out, until the model ends, a stop string, a limit or the user
// does.
#pragma once

#include "engine/engine.h"
#include "engine/sampler.h"
#include "text/reasoning.h"

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace coterie {

struct GenerateOptions {
  SamplingOptions sampling;
  std::int64_t max_tokens = 0;  // 0: as long as the context has room
  std::vector<std::string> stop;
  bool split_reasoning = true;  // false: everything is answer
  bool opened = false;          // the prompt ends inside <think>
};

struct GenerateEvents {
  std::function<void(text::ReplyPiece::Kind kind, const std::string& text)> on_text;  // may be empty
  std::function<bool()> cancelled;                                                    // may be empty
};

enum class Finish { end, stop, length, context, cancelled };  // context: no room for another token
const char* name_of(Finish finish);

struct Reply {
  Finish finish = Finish::end;
  std::string reasoning, answer;
  std::int64_t n_reused = 0;    // prompt tokens that the session still had
  std::int64_t n_prompt = 0;    // prompt tokens fed
  std::int64_t n_tokens = 0;    // tokens of the reply, without the one that ends it
  std::int64_t n_steps = 0;     // decode steps: the last token is not fed
  std::int64_t step_bytes = 0;  // weights and cache rows that those steps read
  double prompt_seconds = 0, decode_seconds = 0;
  std::uint64_t logits_hash = 0;  // XXH3 of the last logits' bytes; 0: none
};

// prompt is the whole timeline wanted: what the session already holds of it stays (at least its last token is
// fed again), what differs is forgotten. Throws UsageError when the context cannot hold it.
Reply generate(const Engine& engine, Session& session, std::span<const Token> prompt,
               const GenerateOptions& options, const GenerateEvents& events);

std::uint64_t hash_of(std::span<const float> logits);

}  // namespace coterie
