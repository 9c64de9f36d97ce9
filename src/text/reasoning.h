// Separates a reasoning model's thoughts from its answer while the text streams in: <think>...</think>
// answer.
//
// Works on decoded text, so that it does not matter whether a tag is one token, several, or ordinary text,
// nor where the stream is cut: what might be the beginning of a tag is held back until it is decided.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace coterie::text {

struct ReplyPiece {
  enum class Kind { reasoning, answer } kind;
  std::string text;
};

class ReasoningSplitter {
 public:
  // opened: the prompt ends in <think> already, so that the stream begins inside the reasoning. Otherwise it
  // does so only if <think> is the first thing in it. Line ends after either tag are dropped.
  explicit ReasoningSplitter(bool opened) : opened_(opened) {}

  std::vector<ReplyPiece> next(std::string_view text);
  std::vector<ReplyPiece> finish();  // the rest; a tag that never was completed is text

 private:
  enum class State { start, reasoning, answer };
  std::vector<ReplyPiece> advance(bool final);
  bool leave_start(bool final);
  bool leave_reasoning(bool final, std::vector<ReplyPiece>& pieces);
  void emit(ReplyPiece::Kind kind, std::size_t n, std::vector<ReplyPiece>& pieces);

  bool opened_;
  State state_ = State::start;
  bool after_tag_ = false;  // line ends are dropped until something else comes
  std::string pending_;
};

// How many characters at the end of a text might be the beginning of a word that is not complete yet.
std::size_t possible_beginning(std::string_view text, std::string_view word);

}  // namespace coterie::text
