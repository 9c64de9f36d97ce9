// A session's timeline: what goes wrong leaves it as it was, and a file that vanishes under it is an error,
// not a signal.
#include "base/errors.h"
#include "engine/engine.h"
#include "tests/models/reference.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <numeric>

namespace coterie::test {

namespace {

std::vector<Token> some_tokens(int n) {
  std::vector<Token> ids(static_cast<std::size_t>(n));
  std::iota(ids.begin(), ids.end(), 3);
  return ids;
}

std::vector<float> copy(std::span<const float> logits) { return {logits.begin(), logits.end()}; }

}  // namespace

TEST_CASE("truncating and feeding again gives the same bits") {
  const Engine engine(converted("v3-yarn", "Q8_0"), exact_options());
  const std::vector<Token> ids = some_tokens(40);
  Session session(engine);
  const std::vector<float> expected = copy(session.feed(ids, Role::prompt));
  session.truncate(10);
  CHECK(session.tokens().size() == 10);
  CHECK(copy(session.feed(std::span(ids).subspan(10), Role::prompt)) == expected);
  session.truncate(10);
  CHECK(copy(session.feed(std::span(ids).subspan(11), Role::prompt)) != expected);  // one token was left out
  CHECK_THROWS_AS(session.truncate(1000), UsageError);
}

TEST_CASE("a full context, a foreign token and a cancelled prompt leave the timeline as it was") {
  EngineOptions options = exact_options();
  options.context = 50;
  options.chunk = 8;
  const Engine engine(converted("v3-yarn", "Q8_0"), options);
  Session session(engine);
  const std::vector<Token> ids = some_tokens(45);
  const std::vector<float> expected = copy(session.feed(ids, Role::prompt));
  CHECK_THROWS_AS(session.feed(some_tokens(6), Role::prompt), ModelError);
  CHECK_THROWS_AS(session.feed(std::vector<Token>{1024}, Role::prompt), UsageError);
  CHECK_THROWS_AS(session.feed(std::vector<Token>{-1}, Role::prompt), UsageError);
  CHECK(session.tokens() == ids);

  session.truncate(0);
  int asked = 0;
  CHECK(session.feed(ids, Role::prompt, [&] { return ++asked == 3; }).empty());
  CHECK(session.tokens().empty());
  CHECK(copy(session.feed(ids, Role::prompt)) == expected);
}

TEST_CASE("a model file that is cut off during a run is a FileError") {
  const ScratchDir folder;
  const std::string path = folder.file("cut.gguf");
  std::filesystem::copy_file(converted("v3-yarn", "F32"), path);
  const Engine engine(path, exact_options());
  Session session(engine);
  session.feed(some_tokens(3), Role::prompt);
  std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
  CHECK_THROWS_AS(session.feed(some_tokens(30), Role::prompt), FileError);
  CHECK(session.tokens().size() == 3);
}

}  // namespace coterie::test
