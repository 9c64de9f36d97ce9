// Any text through the tokenizer, any vocabulary into one, any stream through the splitters of a reply. What
// goes in must come out: the bytes of the tokens are the text, foreign text makes no special token, and no
// cut changes a result.
//
// The first byte says which: 0 to 5 a text under that pre-tokenizer, 6 a vocabulary, 7 a stream (larger ones
// modulo 8).
#include "base/errors.h"
#include "models/pre_tokenizers.h"
#include "text/byte_letters.h"
#include "text/reasoning.h"
#include "text/stop.h"
#include "text/tokenizer.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

using namespace coterie;
using namespace coterie::text;

namespace {

void require(bool holds) {
  if (!holds) __builtin_trap();
}

Vocabulary byte_vocabulary(std::string_view pre) {
  Vocabulary v;
  v.pre = pre;
  v.tokens.assign(byte_letters().begin(), byte_letters().end());
  v.kinds.assign(v.tokens.size(), TokenKind::normal);
  return v;
}

void add(Vocabulary& v, std::string_view token, TokenKind kind) {
  v.tokens.emplace_back(token);
  v.kinds.push_back(kind);
}

Vocabulary word_vocabulary(std::string_view pre) {
  Vocabulary v = byte_vocabulary(pre);
  for (const char* token : {"th", "the", "\u0120the", "\u0120\u0120", "\u0120\u0120\u0120\u0120", "aa", "aaa",
                            "12", "\u010a\u010a"})
    add(v, token, TokenKind::normal);
  for (const char* token : {"<s>", "<s><", "</s>"}) add(v, token, TokenKind::control);
  add(v, "<think>", TokenKind::user_defined);
  v.merges = {
      "t h", "aa a",         "\u0120 \u0120", "th e", "a a", "\u0120 the", "\u0120\u0120 \u0120\u0120",
      "1 2", "\u010a \u010a"};
  return v;
}

std::string raw(const Tokenizer& tokenizer, const std::vector<Token>& ids) {
  std::string bytes;
  for (const Token id : ids) bytes += tokenizer.bytes(id, true);
  return bytes;
}

void check_round_trip(const Tokenizer& tokenizer, const Marked& text) {
  const std::vector<Token> ids = tokenizer.encode(text);
  require(raw(tokenizer, ids) == text.text);
  std::size_t at = 0;
  for (const Token id : ids) {
    const std::size_t end = at + tokenizer.bytes(id, true).size();
    if (tokenizer.vocabulary().kinds[static_cast<std::size_t>(id)] != TokenKind::normal)
      for (const Range& foreign : text.foreign) require(end <= foreign.begin || foreign.end <= at);
    at = end;
  }
  StreamDecoder stream(tokenizer, true);
  std::string streamed;
  for (const Token id : ids) streamed += stream.next(id);
  require(streamed + stream.finish() == tokenizer.decode(ids, true));
}

void check_text(std::size_t rules, std::string_view input) {
  static std::deque<Tokenizer> tokenizers;
  if (tokenizers.empty())
    for (const PreTokenizerRules& r : pre_tokenizers) tokenizers.emplace_back(word_vocabulary(r.name));
  if (input.size() < 2) return;
  const std::string text(input.substr(2));
  const std::size_t begin = std::min<std::size_t>(static_cast<unsigned char>(input[0]), text.size());
  const std::size_t end = std::min(begin + static_cast<unsigned char>(input[1]), text.size());
  Marked marked{text, {}};
  check_round_trip(tokenizers[rules], marked);
  if (begin < end) marked.foreign = {{begin, end}};
  check_round_trip(tokenizers[rules], marked);
}

// Lines: the pre-tokenizer's name; then n, c, u or m and a normal, control or user-defined token or a merge;
// x and a text.
void check_vocabulary(std::string_view input) {
  const auto line = [&] {
    const std::string_view head = input.substr(0, input.find('\n'));
    input.remove_prefix(std::min(head.size() + 1, input.size()));
    return head;
  };
  Vocabulary v = byte_vocabulary(line());
  while (!input.empty() && input[0] != 'x') {
    const std::string_view entry = line();
    const std::string_view rest = entry.substr(std::min<std::size_t>(entry.size(), 1));
    if (entry.starts_with('n')) add(v, rest, TokenKind::normal);
    if (entry.starts_with('c')) add(v, rest, TokenKind::control);
    if (entry.starts_with('u')) add(v, rest, TokenKind::user_defined);
    if (entry.starts_with('m')) v.merges.emplace_back(rest);
  }
  try {
    const Tokenizer tokenizer(v);
    const std::string text(input);
    check_round_trip(tokenizer, {text, {}});
    if (!text.empty()) check_round_trip(tokenizer, {text, {{0, text.size()}}});
  } catch (const Error&) {
    return;
  }
}

std::string split(std::string_view text, bool opened, std::size_t cut) {
  ReasoningSplitter splitter(opened);
  std::string reasoning, answer;
  const auto take = [&](const std::vector<ReplyPiece>& pieces) {
    for (const ReplyPiece& p : pieces) (p.kind == ReplyPiece::Kind::reasoning ? reasoning : answer) += p.text;
  };
  take(splitter.next(text.substr(0, cut)));
  take(splitter.next(text.substr(cut)));
  take(splitter.finish());
  return reasoning + '\0' + answer;
}

std::string stop(std::string_view text, std::size_t cut) {
  StopStrings filter({"abab", "ba", "</s>"});
  std::string shown = filter.next(text.substr(0, cut));
  shown += filter.next(text.substr(cut));
  shown += filter.finish();
  return shown + '\0' + filter.found();
}

void check_stream(std::string_view text) {
  const std::string once = split(text, false, 0), opened = split(text, true, 0), stopped = stop(text, 0);
  for (std::size_t cut = 0; cut <= std::min<std::size_t>(text.size(), 64); ++cut) {
    require(split(text, false, cut) == once);
    require(split(text, true, cut) == opened);
    require(stop(text, cut) == stopped);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t kind = data[0] % 8;
  if (kind < pre_tokenizers.size())
    check_text(kind, rest);
  else if (kind == 6)
    check_vocabulary(rest);
  else
    check_stream(rest);
  return 0;
}
