// The search that codebook.h describes, as templates over the instruction set: the same bytes from all, since every
// operation is on single lanes but for minima, which have no order.
#pragma once

#include "base/simd.h"
#include "formats/codebook.h"
#include "formats/integers.h"

namespace coterie {

// The points of a codebook that are best for some scale in [low, high], by their lines.
struct Envelope {
  static constexpr int capacity = 64;
  float low, high;
  int n;
  float a[capacity], b[capacity];
  std::uint16_t point[capacity];
};

template <class Isa>
class CodebookSearch {
 public:
  // One vector: book.size values and their weights; with one_flip, one sign is against x.
  COTERIE_INLINE void project(const Codebook& book, const float* x, const float* w, bool one_flip) {
    blocks_ = book.blocks;
    one_flip_ = one_flip;
    const int step = book.size / 4;
    for (int k = 0; k < 4; ++k) {
      const float w0 = w[k * step], w1 = step == 2 ? w[k * step + 1] : 0.0F;
      const float y0 = 2.0F * (w0 * x[k * step]), y1 = step == 2 ? 2.0F * (w1 * x[k * step + 1]) : 0.0F;
      for (int i = 0; i < 16; i += width) {
        const Batch g0 = Batch::load_aligned(book.first + i), g1 = Batch::load_aligned(book.second + i);
        const Batch a0 = Batch(y0) * g0, a1 = Batch(y1) * g1;
        (a0 + a1).store_aligned(a_[k] + i);
        (Batch(w0) * g0 * g0 + Batch(w1) * g1 * g1).store_aligned(b_[k] + i);
        const Batch loss = step == 2 ? xsimd::min(a0, a1) : a0;
        (loss + loss).store_aligned(loss_[k] + i);
      }
    }
  }

  // The point with the least score for scale t, by its place among the blocks.
  COTERIE_INLINE int best(float t) {
    set_scale(t);
    score_block(first_of_least(), scores_);
    return best_below(least16(scores_));
  }

  COTERIE_INLINE int index(int place) const { return blocks_->indices[place]; }

  // The best points for all scales in [low, high]. The envelope of lines is concave, so that a line which is
  // lowest somewhere lies below the two that are lowest at the ends where those two meet.
  COTERIE_INLINE void envelope(float low, float high, Envelope& e) {
    const int first = best(low);
    set_scale(high);
    const int last = best_below(score(first));
    e.low = low;
    e.high = high;
    e.n = 0;
    add(first, e);
    if (last == first) return;
    add(last, e);
    if (!(e.b[0] > e.b[1])) return;
    set_scale(meeting(e, 0, 1));
    const float bound = lesser(score(first), score(last));
    const int n = visit(bound);
    for (int i = 0; i < 16 * n; i += width) {
      constexpr std::uint32_t all = (1U << width) - 1;
      for (std::uint32_t below = all & ~Isa::at_most(Batch(bound), Batch::load_aligned(scores_ + i));
           below != 0; below &= below - 1) {
        if (e.n == Envelope::capacity) return walk(first, last, e);
        add(16 * visited_[i / 16] + i % 16 + __builtin_ctz(below), e);
      }
    }
  }

 private:
  using Batch = typename Isa::Batch;
  using Ints = typename Isa::Ints;
  static constexpr int width = static_cast<int>(Batch::size);

  // The point of least score, where one has a score of at most `bound`.
  COTERIE_INLINE int best_below(float bound) {
    const int n = visit(bound);
    Batch least = Batch::load_aligned(scores_);
    for (int i = width; i < 16 * n; i += width) least = xsimd::min(least, Batch::load_aligned(scores_ + i));
    const Batch all_least(Isa::least(least));
    for (int i = 0; i < 16 * n; i += width)
      if (const std::uint32_t found = Isa::at_most(Batch::load_aligned(scores_ + i), all_least); found != 0)
        return 16 * visited_[i / 16] + i % 16 + __builtin_ctz(found);
    return 0;
  }

  COTERIE_INLINE static float lesser(float a, float b) { return b < a ? b : a; }

  COTERIE_INLINE static float least16(const float* v) {
    Batch least = Batch::load_aligned(v);
    for (int i = width; i < 16; i += width) least = xsimd::min(least, Batch::load_aligned(v + i));
    return Isa::least(least);
  }

  // Scores under scale t, by nibble; the lower two nibbles of a point come to no less than floor_.
  COTERIE_INLINE void set_scale(float t) {
    for (int k = 0; k < 4; ++k)
      for (int i = 0; i < 16; i += width)
        (Batch(t) * Batch::load_aligned(b_[k] + i) - Batch::load_aligned(a_[k] + i)).store_aligned(s_[k] + i);
    floor_ = least16(s_[0]) + least16(s_[1]);
  }

  // No point of the blocks from `block` on scores less: rounding is monotonic. Each lane is a block.
  COTERIE_INLINE Batch floors(int block) const {
    const Ints head = as_ints<Isa>(Isa::load_bf16(blocks_->heads + block));
    return Batch(floor_) + (Isa::lookup16(s_[2], head >> 24) + Isa::lookup16(s_[3], head >> 28));
  }

  COTERIE_INLINE int first_of_least() const {
    Batch least = floors(0);
    for (int i = width; i < blocks_->n; i += width) least = xsimd::min(least, floors(i));
    const Batch all_least(Isa::least(least));
    for (int i = 0; i < blocks_->n; i += width)
      if (const std::uint32_t found = Isa::at_most(floors(i), all_least); found != 0)
        return i + __builtin_ctz(found);
    return 0;
  }

  COTERIE_INLINE void score_block(int block, float* out) const {
    for (int i = 0; i < 16; i += width) {
      const Ints p = as_ints<Isa>(Isa::load_bf16(blocks_->points + 16 * block + i));
      const Ints c0 = p >> 16, c1 = p >> 20, c2 = p >> 24, c3 = p >> 28;
      Batch s = (Isa::lookup16(s_[0], c0) + Isa::lookup16(s_[1], c1)) +
                (Isa::lookup16(s_[2], c2) + Isa::lookup16(s_[3], c3));
      if (one_flip_)
        s = s + xsimd::min(xsimd::min(Isa::lookup16(loss_[0], c0), Isa::lookup16(loss_[1], c1)),
                           xsimd::min(Isa::lookup16(loss_[2], c2), Isa::lookup16(loss_[3], c3)));
      s.store_aligned(out + i);
    }
  }

  // Scores the blocks that may have points at or below the bound; returns their number. All floors first: a branch
  // for each would be a coin toss.
  COTERIE_INLINE int visit(float bound) {
    std::uint64_t near[CodebookBlocks::capacity / 64] = {};
    for (int i = 0; i < blocks_->n; i += width)
      near[i / 64] |= static_cast<std::uint64_t>(Isa::at_most(floors(i), Batch(bound))) << (i % 64);
    int n = 0;
    for (int i = 0; i < blocks_->n; i += 64)
      for (std::uint64_t rest = near[i / 64]; rest != 0; rest &= rest - 1)
        visited_[n++] = static_cast<std::uint16_t>(i + __builtin_ctzll(rest));
    for (int i = 0; i < n; ++i) score_block(visited_[i], scores_ + 16 * i);
    return n;
  }

  COTERIE_INLINE float score(int place) const { return sum(s_, place) + loss(place); }

  COTERIE_INLINE float sum(const float (*table)[16], int place) const {
    const unsigned p = blocks_->points[place];
    return (table[0][p & 15] + table[1][p >> 4 & 15]) + (table[2][p >> 8 & 15] + table[3][p >> 12]);
  }

  // What the one flip costs.
  COTERIE_INLINE float loss(int place) const {
    if (!one_flip_) return 0.0F;
    const unsigned p = blocks_->points[place];
    return lesser(lesser(loss_[0][p & 15], loss_[1][p >> 4 & 15]),
                  lesser(loss_[2][p >> 8 & 15], loss_[3][p >> 12]));
  }

  COTERIE_INLINE void add(int place, Envelope& e) const {
    e.a[e.n] = sum(a_, place) - loss(place);
    e.b[e.n] = sum(b_, place);
    e.point[e.n++] = blocks_->indices[place];
  }

  // The scale at which two lines meet.
  COTERIE_INLINE static float meeting(const Envelope& e, int i, int j) {
    return (e.a[i] - e.a[j]) / (e.b[i] - e.b[j]);
  }

  // Where too many lines lie below the two, corner by corner: the point that is best where two neighbours on the
  // envelope meet comes between them, until none is better.
  COTERIE_INLINE void walk(int first, int last, Envelope& e) {
    e.n = 0;
    int ahead[Envelope::capacity] = {last}, n_ahead = 1, at = first;
    add(at, e);
    while (n_ahead > 0 && e.n + n_ahead < Envelope::capacity) {
      add(ahead[n_ahead - 1], e);
      --e.n;
      const bool meet = e.b[e.n - 1] > e.b[e.n];
      set_scale(meet ? meeting(e, e.n - 1, e.n) : 0.0F);
      const float bound = lesser(score(at), score(ahead[n_ahead - 1]));
      const int between = best_below(bound);
      if (meet && score(between) < bound) {
        ahead[n_ahead++] = between;
      } else {
        at = ahead[--n_ahead];
        add(at, e);
      }
    }
    while (n_ahead > 0) add(ahead[--n_ahead], e);
  }

  const CodebookBlocks* blocks_ = nullptr;
  bool one_flip_ = false;
  float floor_ = 0;
  alignas(64) float a_[4][16], b_[4][16], loss_[4][16], s_[4][16];
  alignas(64) float scores_[16 * CodebookBlocks::capacity];
  std::uint16_t visited_[CodebookBlocks::capacity];
};

}  // namespace coterie
