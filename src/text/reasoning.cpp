#include "text/reasoning.h"

#include <algorithm>
#include <utility>

namespace coterie::text {

namespace {

constexpr std::string_view open_tag = "<think>", close_tag = "</think>";

}  // namespace

std::size_t possible_beginning(std::string_view text, std::string_view word) {
  for (std::size_t n = std::min(text.size(), word.size() - 1); n > 0; --n)
    if (text.ends_with(word.substr(0, n))) return n;
  return 0;
}

std::vector<ReplyPiece> ReasoningSplitter::next(std::string_view text) {
  pending_ += text;
  return advance(false);
}

std::vector<ReplyPiece> ReasoningSplitter::finish() { return advance(true); }

std::vector<ReplyPiece> ReasoningSplitter::advance(bool final) {
  std::vector<ReplyPiece> pieces;
  if (state_ == State::start && !leave_start(final)) return pieces;
  if (state_ == State::reasoning && !leave_reasoning(final, pieces)) return pieces;
  emit(ReplyPiece::Kind::answer, pending_.size(), pieces);
  return pieces;
}

// Decides what the stream begins with; false: not to be said yet.
bool ReasoningSplitter::leave_start(bool final) {
  const std::size_t blank = std::min(pending_.find_first_not_of(" \t\r\n"), pending_.size());
  const std::string_view rest = std::string_view(pending_).substr(blank);
  const bool tag = rest.starts_with(open_tag);
  if (!tag && !final && open_tag.starts_with(rest)) return false;
  if (tag) pending_.erase(0, blank + open_tag.size());
  state_ = tag || opened_ ? State::reasoning : State::answer;
  after_tag_ = tag || opened_;
  return true;
}

// Emits reasoning; true: the closing tag was there.
bool ReasoningSplitter::leave_reasoning(bool final, std::vector<ReplyPiece>& pieces) {
  const std::size_t close = pending_.find(close_tag);
  if (close == std::string::npos) {
    emit(ReplyPiece::Kind::reasoning, pending_.size() - (final ? 0 : possible_beginning(pending_, close_tag)),
         pieces);
    return false;
  }
  emit(ReplyPiece::Kind::reasoning, close, pieces);
  pending_.erase(0, close_tag.size());
  state_ = State::answer;
  after_tag_ = true;
  return true;
}

// Moves n characters from pending_ to the pieces.
void ReasoningSplitter::emit(ReplyPiece::Kind kind, std::size_t n, std::vector<ReplyPiece>& pieces) {
  std::string text = pending_.substr(0, n);
  pending_.erase(0, n);
  if (after_tag_) text.erase(0, std::min(text.find_first_not_of("\r\n"), text.size()));
  if (text.empty()) return;
  after_tag_ = false;
  pieces.push_back({kind, std::move(text)});
}

}  // namespace coterie::text
