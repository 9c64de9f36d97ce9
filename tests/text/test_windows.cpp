// Texts cut into windows: no token is lost, and conversations stay apart.
#include "gguf/reader.h"
#include "text/windows.h"

#include <doctest/doctest.h>

namespace coterie::text {

namespace {

const std::string two =
    "<\uff5cbegin\u2581of\u2581sentence\uff5c><\uff5cUser\uff5c>What is 2 + 2?"
    "<\uff5cbegin\u2581of\u2581sentence\uff5c>And then, what is 3 + 3, or 4 + 4?";

Vocabulary shipped(bool add_bos) {
  Vocabulary v = read_vocabulary(gguf::Reader(COTERIE_SOURCE_DIR "/models/demo/coterie-demo.gguf"));
  v.add_bos = add_bos;
  return v;
}

// All windows behind each other, without a BOS in front where one was added.
std::vector<Token> joined(const std::vector<std::vector<Token>>& windows, bool skip_first) {
  std::vector<Token> all;
  for (const auto& w : windows) all.insert(all.end(), w.begin() + (skip_first ? 1 : 0), w.end());
  return all;
}

}  // namespace

TEST_CASE("plain windows hold every token once, BOS in front where the vocabulary asks for it") {
  for (const bool add_bos : {false, true}) {
    const Tokenizer t(shipped(add_bos));
    const std::vector<Token> tokens = t.encode(two, Special::plain);
    const auto windows = windows_of(t, two, 7, Special::plain);
    CHECK(joined(windows, add_bos) == tokens);
    for (std::size_t i = 0; i < windows.size(); ++i) {
      CHECK((windows[i].size() == 7 || i + 1 == windows.size()));
      CHECK((windows[i][0] == 0) == add_bos);
    }
    CHECK(windows_of(t, "", 7, Special::plain).empty());
  }
}

TEST_CASE("with special tokens each BOS of the text begins a window, and none is doubled") {
  for (const bool add_bos : {false, true}) {
    const Tokenizer t(shipped(add_bos));
    const auto windows = windows_of(t, two, 512, Special::parse);
    REQUIRE(windows.size() == 2);
    CHECK(joined(windows, false) == t.encode(two, Special::parse));
    CHECK(windows[0][0] == 0);
    CHECK(windows[1][0] == 0);
    CHECK(windows[1][1] != 0);
  }
}

}  // namespace coterie::text
