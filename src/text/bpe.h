// Byte-pair merging inside one piece: while two neighbours have a merge, the best one (first in the list;
// leftmost among equals) is applied. Short pieces look for it, long ones keep queues, so that a piece of any
// length is nearly linear.
#pragma once

#include "models/vocabulary.h"

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace coterie::text {

using TokenIndex = std::unordered_map<std::string_view, Token>;  // by text as the vocabulary writes it

class Bpe {
 public:
  // Throws ModelError: a merge that is none, a byte without a token. lengths: bytes of each token.
  Bpe(const Vocabulary& vocabulary, const TokenIndex& index, std::span<const std::uint32_t> lengths);

  // What a caller that encodes many pieces keeps between them.
  class Scratch;

  void encode(std::string_view piece, Scratch& scratch, std::vector<Token>& out) const;

  // The rank of a merge, its place in the list; no_merge: there is none.
  static constexpr std::uint32_t no_merge = 0xffffffff;
  std::uint32_t rank(Token left, Token right) const;

 private:
  struct Merge {
    Token left, right, result;
  };
  struct ByRight {
    Token right;
    std::uint32_t rank;
  };

  void read_bytes(const Vocabulary& vocabulary, const TokenIndex& index);
  void read_merges(const Vocabulary& vocabulary, const TokenIndex& index);
  void rank_bytes();
  std::uint32_t byte_rank(char left, char right) const {
    return byte_ranks_[static_cast<std::size_t>(static_cast<unsigned char>(left)) << 8 |
                       static_cast<unsigned char>(right)];
  }
  void encode_short(std::string_view piece, std::vector<Token>& out) const;
  void encode_long(std::string_view piece, Scratch& scratch, std::vector<Token>& out) const;

  std::array<Token, 256> byte_tokens_{};  // -1: none
  std::vector<std::uint32_t> lengths_;
  std::vector<Merge> merges_;               // by rank
  std::vector<std::uint32_t> first_right_;  // by left token: where its part of rights_ begins
  std::vector<ByRight> rights_;             // by left token, then ascending by right
  std::vector<std::uint32_t> byte_ranks_;   // rank() of two bytes, which every piece begins with
};

// The pairs of a long piece that wait for their merge, by rank and then by position. Positions arrive mostly
// in ascending order (a walk over the piece makes them), so a rank's queue is a list; the few others go to a
// heap.
class MergeQueue {
 public:
  void reset(std::size_t n_ranks);
  void push(std::uint32_t rank, std::uint32_t position);
  bool pop(std::uint32_t& rank, std::uint32_t& position);  // false: empty
  // A position that is likely to be popped soon. In a piece larger than the caches every position is a miss;
  // fetching ahead takes a third off the time of 16 MiB of random letters.
  std::uint32_t soon() const { return soon_; }

 private:
  struct Bucket {
    std::vector<std::uint32_t> ascending;
    std::size_t next = 0;
    std::vector<std::uint32_t> heap;
    bool empty() const { return next == ascending.size() && heap.empty(); }
    std::uint32_t take();
  };
  static constexpr std::uint32_t none = 0xffffffff;

  std::vector<std::uint32_t> bucket_of_;  // by rank
  std::vector<Bucket> buckets_;
  std::vector<std::uint32_t> free_;  // buckets without a rank
  std::uint32_t soon_ = 0;
  std::vector<std::uint32_t> ranks_;  // heap of the ranks that have a bucket, best first
};

class Bpe::Scratch {
 public:
  std::vector<std::int32_t> cells;
  MergeQueue queue;
};

}  // namespace coterie::text
