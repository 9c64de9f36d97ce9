#include "engine/generate.h"

#include "base/errors.h"
#include "text/stop.h"
#include "text/tokenizer.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <chrono>

namespace coterie {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Tokens to text, less stop strings, split into reasoning and answer, handed out as it becomes certain.
class Output {
 public:
  Output(const text::Tokenizer& tokenizer, const GenerateOptions& options, const GenerateEvents& events,
         Reply* reply)
      : tokenizer_(tokenizer),
        options_(options),
        events_(events),
        reply_(*reply),
        decoder_(tokenizer),
        stops_(options.stop),
        splitter_(options.opened) {}

  void next(Token token) {
    // The tags are text here even where the vocabulary calls them control tokens, which are not shown.
    if (tokenizer_.is_special(token) && (token == open_ || token == close_)) {
      show(stops_.next(decoder_.finish()));
      show(stops_.next(tokenizer_.bytes(token, true)));
    } else {
      show(stops_.next(decoder_.next(token)));
    }
  }
  void finish() {
    show(stops_.next(decoder_.finish()));
    show(stops_.finish());
    if (options_.split_reasoning) hand_out(splitter_.finish());
  }
  bool stopped() const { return stops_.stopped(); }

 private:
  void show(const std::string& text) {
    if (text.empty()) return;
    if (options_.split_reasoning)
      hand_out(splitter_.next(text));
    else
      hand_out({{text::ReplyPiece::Kind::answer, text}});
  }
  void hand_out(const std::vector<text::ReplyPiece>& pieces) {
    for (const auto& [kind, text] : pieces) {
      if (text.empty()) continue;
      (kind == text::ReplyPiece::Kind::reasoning ? reply_.reasoning : reply_.answer) += text;
      if (events_.on_text) events_.on_text(kind, text);
    }
  }

  const text::Tokenizer& tokenizer_;
  const GenerateOptions& options_;
  const GenerateEvents& events_;
  Reply& reply_;
  text::StreamDecoder decoder_;
  text::StopStrings stops_;
  text::ReasoningSplitter splitter_;
  const Token open_ = tokenizer_.find("<think>"), close_ = tokenizer_.find("</think>");
};

// Feeds what the session lacks of the prompt.
std::span<const float> feed_prompt(Session& session, std::span<const Token> prompt,
                                   const GenerateEvents& events, Reply* reply) {
  const std::vector<Token>& held = session.tokens();
  const auto [a, b] = std::mismatch(held.begin(), held.end(), prompt.begin(), prompt.end());
  reply->n_reused = std::min(a - held.begin(), static_cast<std::ptrdiff_t>(prompt.size()) - 1);
  reply->n_prompt = static_cast<std::int64_t>(prompt.size()) - reply->n_reused;
  session.truncate(reply->n_reused);

  const Clock::time_point start = Clock::now();
  const std::span<const float> logits =
      session.feed(prompt.subspan(static_cast<std::size_t>(reply->n_reused)), Role::prompt, events.cancelled);
  reply->prompt_seconds = seconds_since(start);
  return logits;
}

}  // namespace

const char* name_of(Finish finish) {
  constexpr const char* names[] = {"end", "stop", "length", "context", "cancelled"};
  return names[static_cast<int>(finish)];
}

std::uint64_t hash_of(std::span<const float> logits) {
  return XXH3_64bits(logits.data(), logits.size_bytes());
}

Reply generate(const Engine& engine, Session& session, std::span<const Token> prompt,
               const GenerateOptions& options, const GenerateEvents& events) {
  if (prompt.empty()) throw UsageError("the prompt is empty: found 0 tokens, expected at least 1");
  if (static_cast<std::int64_t>(prompt.size()) > engine.context())
    throw UsageError("the prompt is too long: found " + std::to_string(prompt.size()) +
                     " tokens, the context holds " + std::to_string(engine.context()) + " (--ctx)");
  Reply reply;
  Output output(engine.tokenizer(), options, events, &reply);
  Sampler sampler(options.sampling, engine.n_vocab());
  std::span<const float> logits = feed_prompt(session, prompt, events, &reply);

  const Clock::time_point start = Clock::now();
  for (reply.finish = Finish::cancelled; !logits.empty();) {
    const Token token = sampler.next(logits, session.tokens());
    if (engine.tokenizer().ends_text(token)) {
      reply.finish = Finish::end;
      break;
    }
    ++reply.n_tokens;
    output.next(token);
    const std::int64_t position = static_cast<std::int64_t>(session.tokens().size());
    if (output.stopped() || reply.n_tokens == options.max_tokens || position == engine.context()) {
      reply.finish = output.stopped()               ? Finish::stop
                     : position == engine.context() ? Finish::context
                                                    : Finish::length;
      break;
    }
    if (events.cancelled && events.cancelled()) break;
    logits = session.feed({&token, 1}, Role::decode, events.cancelled);
    reply.step_bytes += engine.token_cost(position).bytes;
    ++reply.n_steps;
  }
  reply.decode_seconds = seconds_since(start);
  if (!logits.empty()) reply.logits_hash = hash_of(logits);
  output.finish();
  return reply;
}

}  // namespace coterie
