// Encoding by a codebook: what the encoders of IQ1, IQ2 and IQ3 share.
//
// A vector of eight (or four) weights becomes t * g, g one of a few hundred grid points, t one of a few scales.
// For every point the weighted squared error is, less a constant, a line in t (times t):
//
//   sum w (x - t g)^2 - sum w x^2 = t (t b - a),   a = 2 sum w x g,   b = sum w g^2
//
// so that one pass over the grid computes a and b of every point, and all scales are then compared on the few
// points that are best for some scale in a range: the lower envelope of the lines. The search is exhaustive where
// ggml looks among neighbours of the rounded vector. A sign that has to make the number of signs even costs the
// smallest 2 w x g of the vector, which is taken off a, so that point and sign are chosen together.
#pragma once

#include <cstdint>

namespace coterie {

// Where the search may leave out points sixteen at a time: blocks whose points agree in the bits of `mask`, the
// last point of each repeated as often as it takes.
struct CodebookBlocks {
  static constexpr int capacity = 192;
  int n;                                 // a multiple of 16
  std::uint16_t heads[capacity];         // a point of each block
  std::uint16_t points[16 * capacity];   // four nibbles each: two levels of two bits or one level of three
  std::uint16_t indices[16 * capacity];  // of the points in the grid
};

struct Codebook {
  const CodebookBlocks* blocks;
  const std::uint16_t* points;  // the grid
  int size;                     // weights of a point: 8 or 4
  // The levels of a nibble's first and second weight, by its value; those that no point has repeat the first.
  alignas(64) float first[16];
  alignas(64) float second[16];  // zero when size is 4
};

struct CodebookShape {
  Codebook books[2];                     // the second with the other offset (IQ1), else unused
  int group;                             // weights per scale
  int offset_span;                       // weights per choice of book; 0 without offsets
  int n_scales;                          // a group's scale is d * (2 n + 1), n < n_scales
  float unit;                            // d is a number of half precision divided by this
  bool even_signs;                       // the number of signs in eight weights is even
  float least_inverse, largest_inverse;  // a group's root mean square over its scale lies between
};

// What an encoder packs.
struct CodebookFit {
  float d;  // times unit: the scale as it is stored; no number for weights that are none or beyond reach
  std::uint8_t scales[16];   // n, by group
  std::uint16_t points[64];  // by vector
  std::uint8_t signs[32];    // by eight weights, one bit each
  std::uint8_t books[32];    // by eight weights: which book
};

// The points are in ascending order, so that those which agree in their upper bits follow each other.
template <int n_points>
constexpr CodebookBlocks make_blocks(const std::uint16_t (&points)[n_points], std::uint16_t mask) {
  CodebookBlocks blocks{};
  int at = 0;
  while (at < n_points || blocks.n % 16 != 0) {
    if (at == n_points) --at;  // once more, for a whole number of sixteens
    const std::uint16_t head = points[at];
    for (int i = 0; i < 16; ++i) {
      blocks.points[16 * blocks.n + i] = points[at];
      blocks.indices[16 * blocks.n + i] = static_cast<std::uint16_t>(at);
      const bool goes_on = at + 1 < n_points && (points[at + 1] & mask) == (head & mask);
      if (goes_on && i < 15) ++at;
    }
    blocks.heads[blocks.n++] = head;
    ++at;
  }
  return blocks;
}

template <int n_levels>
constexpr Codebook make_codebook(const CodebookBlocks& blocks, const std::uint16_t* points,
                                 const float (&levels)[n_levels]) {
  static_assert(n_levels == 3 || n_levels == 8);
  Codebook book{&blocks, points, n_levels == 3 ? 8 : 4, {}, {}};
  for (int c = 0; c < 16; ++c) {
    book.first[c] = n_levels == 3 ? levels[(c & 3) % 3] : levels[c & 7];
    book.second[c] = n_levels == 3 ? levels[(c >> 2) % 3] : 0.0F;
  }
  return book;
}

}  // namespace coterie
