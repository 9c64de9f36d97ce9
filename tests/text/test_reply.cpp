// What the text of a reply goes through on its way out: reasoning apart from the answer, and stop strings;
// the same result wherever the stream is cut.
#include "base/errors.h"
#include "text/reasoning.h"
#include "text/stop.h"

#include <doctest/doctest.h>

#include <utility>

namespace coterie::text {

namespace {

struct Reply {
  std::string reasoning, answer;
  bool operator==(const Reply&) const = default;
};

// Cuts the stream where bit i of cuts is set, after character i.
Reply split(const std::string& stream, bool opened, unsigned cuts) {
  ReasoningSplitter splitter(opened);
  Reply reply;
  const auto take = [&](const std::vector<ReplyPiece>& pieces) {
    for (const ReplyPiece& piece : pieces) {
      CHECK_FALSE(piece.text.empty());
      (piece.kind == ReplyPiece::Kind::reasoning ? reply.reasoning : reply.answer) += piece.text;
    }
  };
  std::string part;
  for (std::size_t i = 0; i < stream.size(); ++i) {
    part += stream[i];
    if (i < 32 && (cuts >> i & 1) == 0 && i + 1 < stream.size()) continue;
    take(splitter.next(std::exchange(part, {})));
  }
  take(splitter.finish());
  return reply;
}

// Every way to cut a short stream; every way to cut a longer one in two, and into single characters.
void check_all_cuts(const std::string& stream, bool opened, const Reply& expected) {
  INFO(stream);
  CHECK(split(stream, opened, 0) == expected);
  CHECK(split(stream, opened, 0xffffffff) == expected);
  for (std::size_t i = 0; i < stream.size() && i < 32; ++i)
    for (std::size_t j = i; j < stream.size() && j < 32; ++j)
      CHECK(split(stream, opened, 1U << i | 1U << j) == expected);
  if (stream.size() > 13) return;
  for (unsigned cuts = 0; cuts < 1U << stream.size(); ++cuts) CHECK(split(stream, opened, cuts) == expected);
}

struct Stopped {
  std::string shown, found;
  bool operator==(const Stopped&) const = default;
};

Stopped stop(const std::string& stream, const std::vector<std::string>& stops, unsigned cuts) {
  StopStrings filter(stops);
  Stopped result;
  std::string part;
  for (std::size_t i = 0; i < stream.size(); ++i) {
    part += stream[i];
    if ((cuts >> i & 1) == 0 && i + 1 < stream.size()) continue;
    result.shown += filter.next(std::exchange(part, {}));
    for (const std::string& s : stops) CHECK(result.shown.find(s) == std::string::npos);
  }
  result.shown += filter.finish();
  result.found = filter.stopped() ? filter.found() : "";
  return result;
}

void check_stops(const std::string& stream, const std::vector<std::string>& stops, const Stopped& expected) {
  INFO(stream);
  for (unsigned cuts = 0; cuts < 1U << stream.size(); ++cuts) CHECK(stop(stream, stops, cuts) == expected);
}

}  // namespace

TEST_CASE("reasoning and answer come apart wherever the stream is cut") {
  check_all_cuts("<think>\nwhy\n</think>\n\nyes\n", false, {"why\n", "yes\n"});
  check_all_cuts("why\n</think>\n\nyes", true, {"why\n", "yes"});  // the template opened it
  check_all_cuts("\n<think>a</think>b", true, {"a", "b"});         // and the model did so again
  check_all_cuts(" \n<think>a</think>b", false, {"a", "b"});
  check_all_cuts("<think></think>b", false, {"", "b"});
  check_all_cuts("</think>b", true, {"", "b"});
  check_all_cuts("a<b</th</think>c", true, {"a<b</th", "c"});
}

TEST_CASE("what is no tag, or none at its place, is text") {
  check_all_cuts("no <think>", false, {"", "no <think>"});
  check_all_cuts(" \nplain", false, {"", " \nplain"});
  check_all_cuts("<thin", false, {"", "<thin"});
  check_all_cuts("<thinner>", false, {"", "<thinner>"});
  check_all_cuts("a</think", true, {"a</think", ""});  // never closed
  check_all_cuts("<think>\n\n", false, {"", ""});
  check_all_cuts("a</think>b</think>c", true, {"a", "b</think>c"});
  check_all_cuts("", true, {"", ""});
  check_all_cuts("", false, {"", ""});
}

TEST_CASE("reasoning is shown as it comes, but for a possible tag") {
  ReasoningSplitter splitter(true);
  CHECK(splitter.next("abc").at(0).text == "abc");
  CHECK(splitter.next("d</thin").at(0).text == "d");
  CHECK(splitter.next("g").at(0).text == "</thing");
  CHECK(splitter.next("</think>").empty());
  CHECK(splitter.next("x").at(0).kind == ReplyPiece::Kind::answer);
}

TEST_CASE("the output ends before the first stop string, wherever the stream is cut") {
  check_stops("say END now", {"END"}, {"say ", "END"});
  check_stops("say EN", {"END"}, {"say EN", ""});
  check_stops("aaab", {"aab"}, {"a", "aab"});
  check_stops("ENEND", {"END", "ENX"}, {"EN", "END"});
  check_stops("END", {"END"}, {"", "END"});
  check_stops("xyz", {}, {"xyz", ""});
}

TEST_CASE("of several stop strings the one complete first counts, of equals the longest") {
  check_stops("abcdef", {"abcdef", "bcd"}, {"a", "bcd"});
  check_stops("abcdef", {"cd", "bcd", "d"}, {"a", "bcd"});
  CHECK_THROWS_AS(StopStrings({"x", ""}), UsageError);
}

TEST_CASE("nothing that may become a stop string is shown") {
  StopStrings filter({"\n\n", "END"});
  CHECK(filter.next("a\n") == "a");
  CHECK(filter.next("b") == "\nb");
  CHECK(filter.next("xE") == "x");
  CHECK(filter.next("N") == "");
  CHECK_FALSE(filter.stopped());
  CHECK(filter.next("D and more") == "");
  CHECK(filter.stopped());
  CHECK(filter.next("more") == "");
  CHECK(filter.finish() == "");
}

}  // namespace coterie::text
