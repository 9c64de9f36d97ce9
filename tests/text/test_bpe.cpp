// Merging: long pieces, which keep queues, against the plain definition; and rules of single characters.
#include "tests/text/vocabularies.h"
#include "text/bpe.h"
#include "text/byte_letters.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <ctime>
#include <random>

namespace coterie::text {

namespace {

// A vocabulary of the letters a, b, c and every merge of two known tokens, in an order that no training would
// give: tokens can become part of better merges than the one that made them.
Vocabulary random_vocabulary(std::mt19937& random) {
  Vocabulary v = test::small_vocabulary("gpt-2");
  v.merges.clear();
  std::vector<std::string> tokens = {"a", "b", "c"};
  for (int i = 0; i < 60; ++i) {
    const std::string joined = tokens[random() % tokens.size()] + tokens[random() % tokens.size()];
    if (joined.size() > 12 || std::find(tokens.begin(), tokens.end(), joined) != tokens.end()) continue;
    tokens.push_back(joined);
    v.tokens.push_back(joined);
    v.kinds.push_back(TokenKind::normal);
  }
  for (const std::string& token : tokens)
    for (std::size_t cut = 1; cut < token.size(); ++cut)
      for (const std::string& left : tokens)
        for (const std::string& right : tokens)
          if (left.size() == cut && left + right == token) v.merges.push_back(left + " " + right);
  std::shuffle(v.merges.begin(), v.merges.end(), random);
  return v;
}

// The definition, word for word.
std::vector<std::string> merge_plainly(const std::string& text, const Vocabulary& v) {
  std::vector<std::string> parts;
  for (const char c : text) parts.emplace_back(1, c);
  for (;;) {
    std::size_t best = v.merges.size(), at = 0;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto found = std::find(v.merges.begin(), v.merges.end(), parts[i] + " " + parts[i + 1]);
      if (const auto rank = static_cast<std::size_t>(found - v.merges.begin()); rank < best) {
        best = rank;
        at = i;
      }
    }
    if (best == v.merges.size()) return parts;
    parts[at] += parts[at + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

std::vector<std::string> merge(const std::string& text, const Tokenizer& tokenizer) {
  std::vector<std::string> parts;
  for (const Token id : tokenizer.encode(text, Special::plain)) parts.emplace_back(tokenizer.bytes(id, true));
  return parts;
}

}  // namespace

TEST_CASE("pieces of any length merge by the definition, whatever the order of the merges") {
  std::mt19937 random(3);
  int differing = 0;
  for (int round = 0; round < 40; ++round) {
    const Vocabulary v = random_vocabulary(random);
    Vocabulary swapped = v;
    std::reverse(swapped.merges.begin(), swapped.merges.end());
    const Tokenizer tokenizer(v), other(swapped);
    for (const std::size_t length : {1, 2, 7, 47, 48, 49, 50, 200}) {
      std::string text;
      const auto letters = 1 + random() % 3;
      while (text.size() < length) text += static_cast<char>('a' + random() % letters);
      INFO(text);
      CHECK(merge(text, tokenizer) == merge_plainly(text, v));
      differing += merge(text, other) != merge_plainly(text, v);
    }
  }
  CHECK(differing > 0);  // the order matters, so the check above is one
}

TEST_CASE("a repeated piece gets the same tokens from the cache as the first time") {
  const Tokenizer& tokenizer = test::golden_tokenizer("tiny-v3");
  const std::vector<Token> once = tokenizer.encode(" following", Special::plain);
  std::vector<Token> expected;
  std::string text;
  for (int i = 0; i < 100; ++i) {
    text += " following";
    expected.insert(expected.end(), once.begin(), once.end());
  }
  CHECK(tokenizer.encode(text, Special::plain) == expected);
}

TEST_CASE("the time is linear in the text, whatever it contains") {
  // Far above what is needed (about 0.1 s each), far below what quadratic time would take (hours).
  constexpr double limit = 10;
  constexpr std::size_t bytes = 1 << 19;
  const auto repeat = [](const std::string& part) {
    std::string text;
    while (text.size() < bytes) text += part;
    return text;
  };
  std::mt19937 random(5);
  std::string letters, any;
  for (std::size_t i = 0; i < bytes; ++i) {
    letters += static_cast<char>('a' + random() % 26);
    any += static_cast<char>(random() % 256);
  }
  const std::string texts[] = {letters,          any,
                               repeat("a"),      repeat(" "),
                               repeat("\n"),     repeat(std::string(200, ' ') + "5"),
                               repeat("<"),      repeat("<\uff5cplace\u2581holder"),
                               repeat("\u7684"), repeat("\xff")};
  for (const char* pre : {"deepseek-v3", "deepseek-llm", "deepseek-coder", "qwen2", "llama-bpe", "gpt-2"}) {
    Vocabulary v = test::golden_vocabulary("tiny-v3");
    v.pre = pre;
    const Tokenizer tokenizer(v);
    for (const std::string& text : texts) {
      INFO(std::string(pre), ": ", text.substr(0, 8));
      const std::clock_t begin = std::clock();
      CHECK(tokenizer.encode(text, Special::parse).size() > 0);
      CHECK(static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC < limit);
    }
  }
}

TEST_CASE("byte letters are a bijection that leaves printable ASCII alone") {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string& letter = byte_letters()[static_cast<std::size_t>(byte)];
    CHECK(bytes_of_letters(letter) == std::string(1, static_cast<char>(byte)));
    if (byte > 0x20 && byte < 0x7f) CHECK(letter == std::string(1, static_cast<char>(byte)));
  }
  CHECK(byte_letters()[' '] == "\u0120");
  CHECK(byte_letters()['\n'] == "\u010a");
  CHECK(byte_letters()[0xad] == "\u0143");
  CHECK_FALSE(bytes_of_letters("a b").has_value());
  CHECK_FALSE(bytes_of_letters("\u4e2d").has_value());
  CHECK_FALSE(bytes_of_letters("\xff").has_value());
}

TEST_CASE("characters have the classes of Unicode 16") {
  CHECK(char_class('a') == (letter | ascii));
  CHECK(char_class('_') == (punctuation | ascii));
  CHECK(char_class('+') == (symbol | ascii));
  CHECK(char_class('7') == (number | ascii));
  CHECK(char_class(' ') == (space | blank | ascii));
  CHECK(char_class('\n') == (space | line_end | ascii));
  CHECK(char_class('\v') == (space | ascii));
  CHECK(char_class(0x1f) == ascii);
  CHECK(char_class(0x85) == space);
  CHECK(char_class(0x3000) == space);
  CHECK(char_class(0x200b) == 0);     // zero-width space: no space
  CHECK(char_class(0x180e) == 0);     // no space since Unicode 6.3
  CHECK(char_class(0xbd) == number);  // one half
  CHECK(char_class(0x301) == mark);
  CHECK(char_class(0x4e2d) == letter);
  CHECK(char_class(0x1f600) == symbol);
  CHECK(char_class(0x2ebf0) == letter);  // since Unicode 15.1
  CHECK(char_class(0x1c89) == letter);   // since Unicode 16
  CHECK(char_class(0x1c8b) == 0);        // unassigned
  CHECK(char_class(0x10d40) == number);
  CHECK(char_class(0x10ffff) == 0);
}

TEST_CASE("a contraction may have a long s where case does not matter, but not in GPT-2's rules") {
  const auto first_piece = [](const char* rules, std::string_view text) {
    std::string first;
    PreTokenizer(*find_pre_tokenizer(rules)).for_each_piece(text, [&](std::string_view piece) {
      if (first.empty()) first = piece;
    });
    return first;
  };
  CHECK(first_piece("qwen2", "'\u017fx") == "'\u017f");
  CHECK(first_piece("llama-bpe", "'LLx") == "'LL");
  CHECK(first_piece("gpt-2", "'LLx") == "'");
  CHECK(first_piece("gpt-2", "'llx") == "'ll");
  CHECK(first_piece("gpt-2", "'\u017fx") == "'");
  CHECK(first_piece("qwen2", "12") == "1");
  CHECK(first_piece("llama-bpe", "1234") == "123");
}

}  // namespace coterie::text
