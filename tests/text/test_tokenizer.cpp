// The tokenizer against the vectors of the reference library and of llama.cpp, and what no vector can show.
#include "base/errors.h"
#include "tests/support/golden.h"
#include "tests/support/gunzip.h"
#include "tests/text/vocabularies.h"
#include "text/byte_letters.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <random>

namespace coterie::text {

namespace {

using nlohmann::json;
using test::available;
using test::golden_tokenizer;
using test::golden_vocabulary;
using test::small_vocabulary;

// In the compact set too, with the tiny tokenizers.
const json& vectors(const std::string& file) {
  static std::map<std::string, json> loaded;
  json& value = loaded[file];
  if (value.is_null()) value = json::parse(test::golden_bytes("tokenizer/" + file));
  return value;
}

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    for (const int digit : {byte >> 4, byte & 15}) text += "0123456789abcdef"[digit];
  }
  return text;
}

std::string raw(const Tokenizer& tokenizer, const std::vector<Token>& ids) {
  std::string bytes;
  for (const Token id : ids) bytes += tokenizer.bytes(id, true);
  return bytes;
}

// How many of the encode vectors a tokenizer gets wrong.
int encode_misses(const Tokenizer& tokenizer, const json& cases) {
  int misses = 0;
  for (const json& c : cases)
    misses +=
        tokenizer.encode(c["text"].get<std::string>(), Special::parse) != c["ids"].get<std::vector<Token>>();
  return misses;
}

// Text of random characters, broken on purpose if asked for.
std::string random_text(std::mt19937& random, bool valid) {
  const auto below = [&](unsigned n) { return static_cast<char32_t>(random() % n); };
  std::string text;
  for (auto n = random() % 60; n > 0; --n) {
    switch (below(valid ? 6 : 8)) {
      case 0:
        append_code_point(0x4e00 + below(0x5000), text);
        break;
      case 1:
        append_code_point(0x1f300 + below(0x300), text);
        break;
      case 2:
        text += " \n\r\t'<>s"[below(8)];
        break;
      case 3:
        append_code_point(below(0xd800), text);
        break;
      case 6:
        text += static_cast<char>(below(256));
        break;
      case 7:
        text.resize(text.size() - std::min<std::size_t>(text.size(), below(3)));
        break;
      default:
        text += static_cast<char>(0x20 + below(0x5f));
    }
  }
  return text;
}

}  // namespace

TEST_CASE("every encode vector of the reference library gives its ids") {
  for (const std::string& name : test::hf_names) {
    if (!available(name)) continue;
    const json& cases = vectors("vectors.json")[name]["encode"];
    CHECK(cases.size() == 283);
    for (const json& c : cases) {
      INFO(name, ": ", c["text"].dump());
      CHECK(golden_tokenizer(name).encode(c["text"].get<std::string>(), Special::parse) ==
            c["ids"].get<std::vector<Token>>());
    }
  }
}

TEST_CASE("every vector of llama.cpp gives its ids") {
  for (const std::string& name : test::gguf_names) {
    if (!available(name)) continue;
    const json& cases = vectors("vectors-llamacpp.json")[name];
    CHECK(cases.size() == 283);
    for (const json& c : cases) {
      INFO(name, ": ", c["text"].dump());
      CHECK(golden_tokenizer(name).encode(c["text"].get<std::string>(), Special::parse) ==
            c["ids"].get<std::vector<Token>>());
    }
  }
}

TEST_CASE("the vectors notice two swapped merges and the rules of another pre-tokenizer") {
  const json& cases = vectors("vectors.json")["tiny-v3"]["encode"];
  CHECK(encode_misses(golden_tokenizer("tiny-v3"), cases) == 0);
  Vocabulary swapped = golden_vocabulary("tiny-v3");
  std::swap(swapped.merges[4], swapped.merges[5]);  // "h e" and "e r", which compete for the e of "her"
  CHECK(encode_misses(Tokenizer(swapped), cases) > 0);
  for (const char* other : {"deepseek-llm", "deepseek-coder", "qwen2", "llama-bpe", "gpt-2"}) {
    Vocabulary renamed = golden_vocabulary("tiny-v3");
    renamed.pre = other;
    INFO(std::string(other));
    CHECK(encode_misses(Tokenizer(renamed), cases) > 0);
  }
}

TEST_CASE("every vector of pieces is cut as the reference library cuts it") {
  for (const std::string& name : test::hf_names) {
    if (!available(name)) continue;
    const PreTokenizer pre_tokenizer(*find_pre_tokenizer(golden_vocabulary(name).pre));
    for (const json& c : vectors("vectors.json")[name]["pieces"]) {
      const std::string text = c["text"];
      std::vector<std::string> pieces;
      pre_tokenizer.for_each_piece(text, [&](std::string_view piece) {
        std::string letters;
        for (const char byte : piece) letters += byte_letters()[static_cast<unsigned char>(byte)];
        pieces.push_back(letters);
      });
      INFO(name, ": ", c["text"].dump());
      CHECK(pieces == c["pieces"].get<std::vector<std::string>>());
    }
  }
}

TEST_CASE("every decode vector gives its bytes and texts, at once and as a stream") {
  for (const std::string& name : test::hf_names) {
    if (!available(name)) continue;
    // The reference hides what tokenizer.json calls special; llama.cpp's converter calls more tokens control
    // tokens.
    Vocabulary v = golden_vocabulary(name);
    for (std::size_t id = 0; id < v.tokens.size(); ++id)
      if (v.kinds[id] == TokenKind::control &&
          (v.tokens[id].starts_with("<\uff5ctool") || v.tokens[id].starts_with("<\uff5cfim") ||
           v.tokens[id] == "<\uff5cUser\uff5c>" ||
           v.tokens[id] == "<\uff5c"
                           "Assistant\uff5c>"))
        v.kinds[id] = TokenKind::user_defined;
    const Tokenizer tokenizer(v);
    for (const json& c : vectors("vectors.json")[name]["decode"]) {
      const auto ids = c["ids"].get<std::vector<Token>>();
      INFO(name, ": ", c["ids"].dump());
      CHECK(hex(raw(tokenizer, ids)) == c["hex"].get<std::string>());
      CHECK(tokenizer.decode(ids, true) == c["text"].get<std::string>());
      CHECK(tokenizer.decode(ids, false) == c["text_skip"].get<std::string>());
      StreamDecoder stream(tokenizer, true);
      std::string streamed;
      for (const Token id : ids) {
        const std::string part = stream.next(id);
        for (std::string_view rest = part; !rest.empty();) {
          const Utf8Step step = next_utf8(rest);
          CHECK(step.kind == Utf8Step::Kind::character);
          rest.remove_prefix(step.bytes);
        }
        streamed += part;
      }
      CHECK(streamed + stream.finish() == c["text"].get<std::string>());
    }
  }
}

TEST_CASE("a stream shows every character as soon as it is whole, and no part of one before") {
  const Tokenizer tokenizer(small_vocabulary());
  StreamDecoder stream(tokenizer);
  CHECK(stream.next('a') == "a");
  CHECK(stream.next(0xe4) == "");  // U+4E2D, byte by byte
  CHECK(stream.next(0xb8) == "");
  CHECK(stream.next(0xad) == "\u4e2d");
  CHECK(stream.next(0xf0) == "");
  CHECK(stream.next(0x9f) == "");
  CHECK(stream.next('b') ==
        "\ufffd"
        "b");  // one U+FFFD for the two bytes that began a character
  CHECK(stream.next(0xff) == "\ufffd");
  CHECK(stream.next(260) == "");  // control tokens are hidden
  CHECK(stream.next(0xe4) == "");
  CHECK(stream.finish() == "\ufffd");
  CHECK(stream.finish() == "");
}

TEST_CASE("only what table 3-7 of the Unicode standard lists is UTF-8, to the last byte") {
  const auto decoded = [](const std::string& bytes) {
    std::string out;
    append_utf8(bytes, true, out);
    return out;
  };
  // The first and last of each row.
  for (const char* text : {"\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
                           "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"})
    CHECK(decoded(text) == text);
  // Beyond them: overlong forms, surrogates, what is above U+10FFFF. Each byte stands alone.
  for (const std::string text : {"\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf",
                                 "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80"}) {
    std::string expected;
    for (std::size_t i = 0; i < text.size(); ++i) expected += "\ufffd";
    CHECK(decoded(text) == expected);
  }
}

TEST_CASE("any text comes back from its tokens, valid UTF-8 or not") {
  std::vector<const Tokenizer*> tokenizers = {&golden_tokenizer("tiny-v3"), &golden_tokenizer("tiny-v2")};
  for (const char* name : {"qwen2", "llama-bpe", "deepseek-coder"})
    if (available(name)) tokenizers.push_back(&golden_tokenizer(name));
  std::mt19937 random(7);
  for (int i = 0; i < 3000; ++i) {
    const bool valid = i % 2 == 0;
    const std::string text = random_text(random, valid);
    for (const Tokenizer* tokenizer : tokenizers) {
      INFO(tokenizer->vocabulary().pre, ": ", hex(text));
      for (const Special special : {Special::plain, Special::parse}) {
        const std::vector<Token> ids = tokenizer->encode(text, special);
        // Vocabularies without tokens for bytes that UTF-8 does not use write U+FFFD for them.
        const bool all_bytes =
            tokenizer->vocabulary().pre != "deepseek-llm" && tokenizer->vocabulary().pre != "deepseek-coder";
        if (valid || all_bytes) CHECK(raw(*tokenizer, ids) == text);
        const auto is_normal = [&](Token id) {
          return tokenizer->vocabulary().kinds[static_cast<std::size_t>(id)] == TokenKind::normal;
        };
        if (special == Special::plain) CHECK(std::all_of(ids.begin(), ids.end(), is_normal));
      }
    }
  }
}

TEST_CASE("a byte that is no UTF-8 is a token of its own") {
  const Tokenizer& tokenizer = golden_tokenizer("tiny-v3");
  const std::vector<Token> ids = tokenizer.encode("the\xff\xe4\xb8the", Special::parse);
  std::vector<std::string> pieces;
  for (const Token id : ids) pieces.emplace_back(tokenizer.bytes(id, true));
  CHECK(std::find(pieces.begin(), pieces.end(), "\xff") != pieces.end());
  CHECK(std::find(pieces.begin(), pieces.end(), "\xe4") != pieces.end());
  CHECK(std::find(pieces.begin(), pieces.end(), "\xb8") != pieces.end());
}

TEST_CASE("text of a message never becomes a special token, and the text around it is cut as one") {
  const Tokenizer tokenizer(small_vocabulary());
  const Token bos = 260, think = 262;
  CHECK(tokenizer.encode("<s>x<think>", Special::parse) == std::vector<Token>{bos, 'x', think});
  CHECK(raw(tokenizer, tokenizer.encode("<s>x<think>", Special::plain)) == "<s>x<think>");
  CHECK(tokenizer.encode("<s>", Special::plain) == std::vector<Token>{'<', 's', '>'});

  const Token space_in = 258, ing = 257;
  CHECK(tokenizer.encode({"<s><s><s>", {{3, 6}}}) == std::vector<Token>{bos, '<', 's', '>', bos});
  for (const Range touched : {Range{0, 1}, Range{1, 2}, Range{2, 3}})  // one foreign byte is enough
    CHECK(tokenizer.encode({"<s>", {touched}}) == std::vector<Token>{'<', 's', '>'});
  CHECK(tokenizer.encode({"<s><s>", {{3, 3}}}) == std::vector<Token>{bos, bos});
  // "x ing": the foreign part begins within the word.
  CHECK(tokenizer.encode({"x ing", {{3, 5}}}) == tokenizer.encode("x ing", Special::parse));
  CHECK(tokenizer.encode("x in", Special::parse) == std::vector<Token>{'x', space_in});
  CHECK(tokenizer.encode("xing", Special::parse) == std::vector<Token>{'x', ing});
  // A special token put together from both sides is none.
  CHECK(tokenizer.encode({"<think>", {{6, 7}}}) == tokenizer.encode("<think>", Special::plain));
}

TEST_CASE("of the special tokens at a place the longest counts") {
  Vocabulary v = small_vocabulary();
  for (const char* token : {"<a", "<a><b>", "<a><"}) {
    v.tokens.emplace_back(token);
    v.kinds.push_back(TokenKind::control);
  }
  const Tokenizer tokenizer(v);
  CHECK(tokenizer.encode("<a><b>", Special::parse) == std::vector<Token>{264});
  CHECK(tokenizer.encode("<a><c>", Special::parse) == std::vector<Token>{265, 'c', '>'});
  CHECK(tokenizer.encode("<a>", Special::parse) == std::vector<Token>{263, '>'});
  CHECK(tokenizer.find("<a><") == 265);
  CHECK(tokenizer.find("in") == -1);  // a normal token is none
  CHECK(tokenizer.find("") == -1);
}

TEST_CASE("every name for the end of a turn ends a text") {
  Vocabulary v = small_vocabulary();
  const std::size_t first = v.tokens.size();
  for (const char* token :
       {"<|eot_id|>", "<|im_end|>", "<|EOT|>", "<|end_of_text|>", "<|endoftext|>", "<|end|>"}) {
    v.tokens.emplace_back(token);
    v.kinds.push_back(TokenKind::control);
  }
  const Tokenizer tokenizer(v);
  for (std::size_t id = first; id < v.tokens.size(); ++id)
    CHECK(tokenizer.ends_text(static_cast<Token>(id)) == (id + 1 < v.tokens.size()));
}

TEST_CASE("tokens that end a text: EOS, the end of a turn, nothing else") {
  Vocabulary v = small_vocabulary();
  v.tokens.emplace_back("<|im_end|>");
  v.kinds.push_back(TokenKind::control);
  v.tokens.emplace_back("<end>");
  v.kinds.push_back(TokenKind::control);
  v.eot = 264;
  const Tokenizer tokenizer(v);
  for (const Token id : {261, 263, 264}) CHECK(tokenizer.ends_text(id));
  for (const Token id : {0, 260, 262, -1, 1000}) CHECK_FALSE(tokenizer.ends_text(id));
  CHECK(tokenizer.is_special(261));
  CHECK_FALSE(tokenizer.is_special(262));  // user-defined: shown
  CHECK_FALSE(tokenizer.is_special(-1));
  CHECK_THROWS_AS(tokenizer.decode(std::vector<Token>{265}, true), UsageError);
}

}  // namespace coterie::text
