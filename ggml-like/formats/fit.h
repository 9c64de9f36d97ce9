// Finding the integers of a block: what the encoders of the K formats and IQ4 share.
//
// Per group: a range of candidate scales around the one that just covers the group; for each, the nearest
// codes, then the scale (and minimum) that fits those codes best in least squares. Then, over the
// super-block: the group scales become integers of one half-precision scale, each integer is tried one up and
// one down, and the two super scales are fitted again to all 256 weights; what does not lower the squared
// error is undone.
#pragma once

#include "formats/integers.h"

#include <span>

namespace coterie {

// The integers that a format has.
struct IntegerShape {
  int group = 16;                   // weights per scale
  int code_low = 0, code_high = 0;  // codes are all integers in this range ...
  std::span<const std::int8_t>
      levels{};  // ... or, when given, these, ascending (then code_low, code_high: its ends)
  int scale_low = 0, scale_high = 0;  // integer scales (and minima, from zero)
  bool has_mins = false;
};

// Fills u so that its decoded values are near x [256]; d and dmin are representable in half precision.
// Weights that are no numbers, or beyond all reach, give a d that is no number.
void fit_super_block(const IntegerShape& shape, const float* x, Integers256& u);

// The same for 32 weights under one scale of half precision, without a minimum.
void fit_block(const IntegerShape& shape, const float* x, Integers32& u);

}  // namespace coterie
