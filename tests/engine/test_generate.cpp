// The reply loop on a tiny golden model: where it ends, what it reuses, and that it depends on nothing else.
#include "base/errors.h"
#include "engine/generate.h"
#include "engine/prompt.h"
#include "tests/support/golden.h"
#include "text/tokenizer.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <fstream>

namespace coterie {

namespace {

EngineOptions options_of(std::int64_t context) {
  EngineOptions options;
  options.threads = 2;
  options.context = context;
  options.cache = CacheType::f32;
  return options;
}

const Engine& engine() {
  static const Engine e(test::golden("gguf/v3-yarn.gguf"), options_of(512));
  return e;
}

GenerateOptions greedy(std::int64_t max_tokens) {
  GenerateOptions options;
  options.sampling.temperature = 0;
  options.max_tokens = max_tokens;
  options.split_reasoning = false;
  return options;
}

Reply fresh(std::span<const Token> prompt, const GenerateOptions& options,
            const GenerateEvents& events = {}) {
  Session session(engine());
  return generate(engine(), session, prompt, options, events);
}

std::vector<Token> prompt_of(const char* text) {
  return engine().tokenizer().encode(std::string_view(text), text::Special::plain);
}

const nlohmann::ordered_json chat{{{"role", "user"}, {"content", "Hello"}}};

}  // namespace

TEST_CASE("a greedy reply is the text of the reference's greedy tokens") {
  std::ifstream in(test::golden("outputs/v3-yarn.json"));
  REQUIRE(in.good());
  const nlohmann::json golden = nlohmann::json::parse(in);
  const std::vector<Token> prompt = golden["prompts"]["p33"];
  std::vector<Token> ids = golden["greedy"]["p33"]["ids"];
  const auto end =
      std::find_if(ids.begin(), ids.end(), [](Token t) { return engine().tokenizer().ends_text(t); });
  const bool ends = end != ids.end();
  ids.erase(end, ids.end());

  const Reply reply = fresh(prompt, greedy(32));
  CHECK(reply.answer == engine().tokenizer().decode(ids, false));
  CHECK(reply.n_tokens == static_cast<std::int64_t>(ids.size()));
  CHECK(reply.finish == (ends ? Finish::end : Finish::length));
}

TEST_CASE("the reply ends at its limit, counting what was fed") {
  const std::vector<Token> prompt = prompt_of("one two three");
  const Reply reply = fresh(prompt, greedy(5));
  CHECK(reply.finish == Finish::length);
  CHECK(reply.n_prompt == static_cast<std::int64_t>(prompt.size()));
  CHECK(reply.n_reused == 0);
  CHECK(reply.n_tokens == 5);
  CHECK(reply.n_steps == 4);
  CHECK(reply.step_bytes > 4 * engine().token_cost(0).bytes);
  CHECK(reply.logits_hash != 0);
}

TEST_CASE("a stop string ends the reply before itself") {
  const std::vector<Token> prompt = prompt_of("one two three");
  const std::string whole = fresh(prompt, greedy(24)).answer;
  REQUIRE(whole.size() > 12);
  GenerateOptions options = greedy(24);
  options.stop = {"never there", whole.substr(9, 3)};
  std::string streamed;
  const Reply reply = fresh(prompt, options,
                            {.on_text = [&](auto, const std::string& t) { streamed += t; }, .cancelled = {}});
  CHECK(reply.finish == Finish::stop);
  CHECK(reply.answer == whole.substr(0, whole.find(whole.substr(9, 3))));
  CHECK(streamed == reply.answer);
}

TEST_CASE("a second turn feeds only what is new, and says the same as a fresh session") {
  Session session(engine());
  std::vector<Token> prompt = prompt_of("one two three");
  generate(engine(), session, prompt, greedy(6), {});
  const std::size_t first = prompt.size();
  for (const Token t : prompt_of(" and four more")) prompt.push_back(t);
  prompt[first] = prompt[first] == 900 ? 901 : 900;  // differs from what the model said
  const Reply again = generate(engine(), session, prompt, greedy(6), {});
  CHECK(again.n_reused == static_cast<std::int64_t>(first));
  const Reply alone = fresh(prompt, greedy(6));
  CHECK(again.answer == alone.answer);
  CHECK(again.logits_hash == alone.logits_hash);
  const Reply same =
      generate(engine(), session, prompt, greedy(6), {});  // nothing new: the last token is fed again
  CHECK(same.n_prompt == 1);
  CHECK(same.logits_hash == alone.logits_hash);
}

TEST_CASE("one changed token changes the hash") {
  std::vector<Token> prompt = prompt_of("one two three");
  const std::uint64_t before = fresh(prompt, greedy(3)).logits_hash;
  prompt[1] = prompt[1] == 900 ? 901 : 900;
  CHECK(fresh(prompt, greedy(3)).logits_hash != before);
}

TEST_CASE("same seed, same reply; another seed, another") {
  const std::vector<Token> prompt = prompt_of("one two three");
  GenerateOptions options = greedy(16);
  options.sampling.temperature = 1;
  options.sampling.seed = 7;
  const Reply a = fresh(prompt, options), b = fresh(prompt, options);
  CHECK(a.answer == b.answer);
  CHECK(a.logits_hash == b.logits_hash);
  options.sampling.seed = 8;
  CHECK(fresh(prompt, options).answer != a.answer);
}

TEST_CASE("cancelling keeps what was said, and the session goes on") {
  Session session(engine());
  const std::vector<Token> prompt = prompt_of("one two three");
  std::string said;
  int pieces = 0;
  const GenerateEvents events{.on_text = [&](auto, const std::string& t) { said += t, ++pieces; },
                              .cancelled = [&] { return pieces >= 3; }};
  const Reply stopped = generate(engine(), session, prompt, greedy(100), events);
  CHECK(stopped.finish == Finish::cancelled);
  CHECK(stopped.answer == said);
  CHECK(stopped.n_tokens < 20);
  CHECK(generate(engine(), session, prompt, greedy(6), {}).answer == fresh(prompt, greedy(6)).answer);
}

TEST_CASE("a full context ends the reply, a larger prompt is refused") {
  const Engine small(test::golden("gguf/v3-yarn.gguf"), options_of(12));
  Session session(small);
  const std::vector<Token> prompt(8, 300);
  GenerateOptions options = greedy(0);
  options.sampling.logit_bias = {{1, -1000.0f}};  // EOS
  const Reply reply = generate(small, session, prompt, options, {});
  CHECK(reply.finish == Finish::context);
  CHECK(reply.n_tokens == 5);  // four that fit and one that needs no room any more
  CHECK_THROWS_AS(generate(small, session, std::vector<Token>(13, 300), options, {}), UsageError);
  CHECK_THROWS_AS(generate(small, session, {}, options, {}), UsageError);
}

TEST_CASE("a prompt that opens <think> makes the reply begin with reasoning; think off closes it") {
  const Prompter prompter(engine());
  const Prompt on = prompter.chat(chat, std::nullopt), off = prompter.chat(chat, false);
  CHECK(on.opened);
  CHECK(!off.opened);
  const std::string shown = engine().tokenizer().decode(off.tokens, true);
  CHECK(shown.starts_with(engine().tokenizer().decode(on.tokens, true)));
  CHECK(shown.ends_with("<think>\n\n</think>\n\n"));

  GenerateOptions options = greedy(4);
  options.split_reasoning = true;
  options.opened = on.opened;
  const Reply reply = fresh(on.tokens, options);
  CHECK(!reply.reasoning.empty());
  CHECK(reply.answer.empty());
}

TEST_CASE("BOS appears once, whatever the file says about adding it") {
  const text::Tokenizer& t = engine().tokenizer();
  Vocabulary v = t.vocabulary();
  v.add_bos = true;
  const text::Tokenizer adding(v);
  const std::string bos = v.tokens[static_cast<std::size_t>(*v.bos)];
  CHECK(encode_prompt(adding, {bos + "x", {}}) == encode_prompt(adding, {"x", {}}));
  CHECK(encode_prompt(adding, {"x", {}}).size() == encode_prompt(t, {"x", {}}).size() + 1);
}

}  // namespace coterie
