// What kind of character a code point is, as far as pre-tokenizers ask. Unicode 16, the version of the
// reference library.
#pragma once

#include <cstdint>

namespace coterie::text {

// Bits of a set; the higher ones of a 16-bit set belong to the pre-tokenizer, for the sets that its rules
// spell out.
enum CharClass : std::uint16_t {
  letter = 1,       // L
  mark = 2,         // M
  number = 4,       // N
  punctuation = 8,  // P
  symbol = 16,      // S
  space = 32,       // White_Space, line ends included
  line_end = 64,    // CR, LF
  blank = 128,      // U+0020
  ascii = 256,      // below U+0080
};

std::uint16_t char_class(char32_t code);  // any value up to 0x10FFFF

}  // namespace coterie::text
