// What the encoders need to know of a format that is small integers under scales.
#pragma once

namespace coterie {

struct IntegerShape {
  int group = 16;                     // weights per scale, 16 or 32
  int code_low = 0, code_high = 0;    // codes are all integers in this range ...
  bool iq4 = false;                   // ... or the levels of IQ4, whose ends these then are
  int scale_low = 0, scale_high = 0;  // integer scales (and minima, from zero); both 0: no super-block
  bool has_mins = false;              // weight = scale * code - min; else scale * code
  bool signed_mins = false;           // a minimum may be below zero
};

}  // namespace coterie
