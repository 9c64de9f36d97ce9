#include "text/bpe.h"

#include "base/errors.h"
#include "text/byte_letters.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <string>

namespace coterie::text {

namespace {

constexpr std::size_t short_piece =
    48;  // bytes; above it the search for the best pair costs more than the queue

[[noreturn]] void bad_merge(std::size_t i, const std::string& reason) {
  throw ModelError("tokenizer.ggml.merges: merge " + std::to_string(i) + ": " + reason);
}

// Bytes that no UTF-8 text contains; some vocabularies have no token for them.
bool never_in_utf8(int byte) { return byte == 0xc0 || byte == 0xc1 || byte >= 0xf5; }

}  // namespace

Bpe::Bpe(const Vocabulary& vocabulary, const TokenIndex& index, std::span<const std::uint32_t> lengths)
    : lengths_(lengths.begin(), lengths.end()) {
  read_bytes(vocabulary, index);
  read_merges(vocabulary, index);
  rank_bytes();
}

void Bpe::read_bytes(const Vocabulary& vocabulary, const TokenIndex& index) {
  for (int byte = 0; byte < 256; ++byte) {
    const auto i = static_cast<std::size_t>(byte);
    const auto found = index.find(byte_letters()[i]);
    const bool normal = found != index.end() &&
                        vocabulary.kinds[static_cast<std::size_t>(found->second)] == TokenKind::normal;
    byte_tokens_[i] = normal ? found->second : -1;
    if (!normal && !never_in_utf8(byte))
      throw ModelError("tokenizer.ggml.tokens: no normal token for byte " + std::to_string(byte) +
                       ", expected one for every byte that occurs in UTF-8");
  }
}

void Bpe::read_merges(const Vocabulary& vocabulary, const TokenIndex& index) {
  const auto token = [&](std::size_t i, std::string_view text) {
    const auto found = index.find(text);
    if (found == index.end()) bad_merge(i, "makes or takes a text that is no token");
    return found->second;
  };
  if (vocabulary.merges.size() >= no_merge)
    throw ModelError("tokenizer.ggml.merges: too many merges: " + std::to_string(vocabulary.merges.size()));
  std::string joined;
  first_right_.assign(vocabulary.tokens.size() + 1, 0);
  for (std::size_t i = 0; i < vocabulary.merges.size(); ++i) {
    const std::string_view merge = vocabulary.merges[i];
    const std::size_t gap = merge.find(' ');
    if (gap == merge.npos || gap == 0 || gap + 1 == merge.size() || merge.find(' ', gap + 1) != merge.npos)
      bad_merge(i, "expected two tokens with one space between them");
    joined.assign(merge.substr(0, gap)).append(merge.substr(gap + 1));
    merges_.push_back({token(i, merge.substr(0, gap)), token(i, merge.substr(gap + 1)), token(i, joined)});
    // A text must not become a special token by way of merges.
    if (vocabulary.kinds[static_cast<std::size_t>(merges_.back().result)] != TokenKind::normal)
      bad_merge(i, "makes token " + std::to_string(merges_.back().result) + ", which is no normal token");
    ++first_right_[static_cast<std::size_t>(merges_.back().left) + 1];
  }

  for (std::size_t left = 1; left < first_right_.size(); ++left) first_right_[left] += first_right_[left - 1];
  rights_.resize(merges_.size());
  std::vector<std::uint32_t> fill(first_right_.begin(), first_right_.end() - 1);
  for (std::uint32_t r = 0; r < merges_.size(); ++r)
    rights_[fill[static_cast<std::size_t>(merges_[r].left)]++] = {merges_[r].right, r};
  // Of a merge listed twice the first counts: equal ones keep their order, and the search below finds the
  // first.
  for (std::size_t left = 0; left + 1 < first_right_.size(); ++left)
    std::stable_sort(rights_.begin() + first_right_[left], rights_.begin() + first_right_[left + 1],
                     [](const ByRight& a, const ByRight& b) { return a.right < b.right; });
}

void Bpe::rank_bytes() {
  for (const Token left : byte_tokens_)
    for (const Token right : byte_tokens_)
      byte_ranks_.push_back(left < 0 || right < 0 ? no_merge : rank(left, right));
}

std::uint32_t Bpe::rank(Token left, Token right) const {
  const ByRight* low = rights_.data() + first_right_[static_cast<std::size_t>(left)];
  std::size_t n =
      static_cast<std::size_t>(rights_.data() + first_right_[static_cast<std::size_t>(left) + 1] - low);
  if (n == 0) return no_merge;
  while (n > 1) {  // without branches that depend on the data: the first entry not below `right` is in [low,
                   // low + n)
    const std::size_t half = n / 2;
    low += low[half - 1].right < right ? half : 0;
    n -= half;
  }
  return low->right == right ? low->rank : no_merge;
}

void Bpe::encode(std::string_view piece, Scratch& scratch, std::vector<Token>& out) const {
  // A byte without a token is broken UTF-8, hence a piece of its own; it is written as U+FFFD.
  if (piece.size() == 1 && byte_tokens_[static_cast<unsigned char>(piece[0])] < 0) piece = "\xef\xbf\xbd";
  if (piece.size() <= short_piece)
    encode_short(piece, out);
  else
    encode_long(piece, scratch, out);
}

void Bpe::encode_short(std::string_view piece, std::vector<Token>& out) const {
  std::array<Token, short_piece> tokens;
  std::array<std::uint32_t, short_piece> ranks;  // of token i with token i + 1
  std::size_t n = piece.size();
  for (std::size_t i = 0; i < n; ++i) tokens[i] = byte_tokens_[static_cast<unsigned char>(piece[i])];
  for (std::size_t i = 0; i + 1 < n; ++i) ranks[i] = byte_rank(piece[i], piece[i + 1]);
  while (n > 1) {
    const auto best = std::min_element(ranks.begin(), ranks.begin() + static_cast<std::ptrdiff_t>(n) - 1);
    if (*best == no_merge) break;
    const auto i = static_cast<std::size_t>(best - ranks.begin());
    tokens[i] = merges_[*best].result;
    std::copy(tokens.begin() + i + 2, tokens.begin() + n, tokens.begin() + i + 1);
    std::copy(ranks.begin() + i + 1, ranks.begin() + n - 1, ranks.begin() + i);
    --n;
    if (i + 1 < n) ranks[i] = rank(tokens[i], tokens[i + 1]);
    if (i > 0) ranks[i - 1] = rank(tokens[i - 1], tokens[i]);
  }
  out.insert(out.end(), tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(n));
}

// One cell per byte of the piece. The first cell of a symbol holds its token, the last one (if it is another)
// ~first, and what lies between is negative too: so a position knows whether a symbol begins there and where
// its neighbours are.
void Bpe::encode_long(std::string_view piece, Scratch& scratch, std::vector<Token>& out) const {
  if (piece.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()))
    throw UsageError("text: a word of " + std::to_string(piece.size()) + " bytes, at most 2^31 - 1");
  std::vector<std::int32_t>& cells = scratch.cells;
  const auto end = static_cast<std::uint32_t>(piece.size());
  cells.resize(end);
  scratch.queue.reset(merges_.size());
  const auto length = [&](std::uint32_t at) { return lengths_[static_cast<std::size_t>(cells[at])]; };
  const auto push = [&](std::uint32_t rank, std::uint32_t at) {
    if (rank != no_merge) scratch.queue.push(rank, at);
  };

  for (std::uint32_t i = 0; i < end; ++i) cells[i] = byte_tokens_[static_cast<unsigned char>(piece[i])];
  for (std::uint32_t i = 0; i + 1 < end; ++i) push(byte_rank(piece[i], piece[i + 1]), i);
  for (std::uint32_t best = 0, at = 0; scratch.queue.pop(best, at);) {
    __builtin_prefetch(&cells[scratch.queue.soon()], 1);
    const Merge& merge = merges_[best];
    if (cells[at] != merge.left) continue;  // merged meanwhile
    const std::uint32_t middle = at + length(at);
    if (middle == end || cells[middle] != merge.right) continue;
    const std::uint32_t next = middle + length(middle);
    cells[middle] = -1;
    cells[next - 1] = ~static_cast<std::int32_t>(at);
    cells[at] = merge.result;
    if (next < end) push(rank(cells[at], cells[next]), at);
    if (at == 0) continue;
    const std::uint32_t before = cells[at - 1] >= 0 ? at - 1 : static_cast<std::uint32_t>(~cells[at - 1]);
    push(rank(cells[before], cells[at]), before);
  }
  for (std::uint32_t at = 0; at < end; at += length(at)) out.push_back(cells[at]);
}

void MergeQueue::reset(std::size_t n_ranks) {
  if (bucket_of_.size() != n_ranks) bucket_of_.assign(n_ranks, none);
}

void MergeQueue::push(std::uint32_t rank, std::uint32_t position) {
  std::uint32_t& b = bucket_of_[rank];
  if (b == none) {
    if (free_.empty()) {
      free_.push_back(static_cast<std::uint32_t>(buckets_.size()));
      buckets_.emplace_back();
    }
    b = free_.back();
    free_.pop_back();
    ranks_.push_back(rank);
    std::push_heap(ranks_.begin(), ranks_.end(), std::greater<>());
  }
  Bucket& bucket = buckets_[b];
  if (bucket.next == bucket.ascending.size() || bucket.ascending.back() < position) {
    bucket.ascending.push_back(position);
  } else {
    bucket.heap.push_back(position);
    std::push_heap(bucket.heap.begin(), bucket.heap.end(), std::greater<>());
  }
}

bool MergeQueue::pop(std::uint32_t& rank, std::uint32_t& position) {
  if (ranks_.empty()) return false;
  rank = ranks_.front();
  Bucket& bucket = buckets_[bucket_of_[rank]];
  position = bucket.take();
  soon_ = bucket.next + 8 < bucket.ascending.size() ? bucket.ascending[bucket.next + 8] : position;
  if (bucket.empty()) {
    bucket.ascending.clear();
    bucket.next = 0;
    free_.push_back(bucket_of_[rank]);
    bucket_of_[rank] = none;
    std::pop_heap(ranks_.begin(), ranks_.end(), std::greater<>());
    ranks_.pop_back();
  }
  return true;
}

std::uint32_t MergeQueue::Bucket::take() {
  if (heap.empty() || (next < ascending.size() && ascending[next] < heap.front())) return ascending[next++];
  std::pop_heap(heap.begin(), heap.end(), std::greater<>());
  const std::uint32_t position = heap.back();
  heap.pop_back();
  return position;
}

}  // namespace coterie::text
