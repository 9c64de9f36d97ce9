#include "text/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <iterator>

namespace coterie::text {

namespace {

struct Assigned {
  char32_t first, last;
  CharClass is;
};

// Code points that are still unassigned in Unicode 15, which utf8proc 2.8 knows, and have a class in
// Unicode 16. Source: the Unicode character database.
constexpr Assigned since_unicode_15[] = {{0x897, 0x897, mark},
                                         {0x1b4e, 0x1b4f, punctuation},
                                         {0x1b7f, 0x1b7f, punctuation},
                                         {0x1c89, 0x1c8a, letter},
                                         {0x2427, 0x2429, symbol},
                                         {0x2ffc, 0x2fff, symbol},
                                         {0x31e4, 0x31e5, symbol},
                                         {0x31ef, 0x31ef, symbol},
                                         {0xa7cb, 0xa7cd, letter},
                                         {0xa7da, 0xa7dc, letter},
                                         {0x105c0, 0x105f3, letter},
                                         {0x10d40, 0x10d49, number},
                                         {0x10d4a, 0x10d65, letter},
                                         {0x10d69, 0x10d6d, mark},
                                         {0x10d6e, 0x10d6e, punctuation},
                                         {0x10d6f, 0x10d85, letter},
                                         {0x10d8e, 0x10d8f, symbol},
                                         {0x10ec2, 0x10ec4, letter},
                                         {0x10efc, 0x10efc, mark},
                                         {0x11380, 0x11389, letter},
                                         {0x1138b, 0x1138b, letter},
                                         {0x1138e, 0x1138e, letter},
                                         {0x11390, 0x113b5, letter},
                                         {0x113b7, 0x113b7, letter},
                                         {0x113b8, 0x113c0, mark},
                                         {0x113c2, 0x113c2, mark},
                                         {0x113c5, 0x113c5, mark},
                                         {0x113c7, 0x113ca, mark},
                                         {0x113cc, 0x113d0, mark},
                                         {0x113d1, 0x113d1, letter},
                                         {0x113d2, 0x113d2, mark},
                                         {0x113d3, 0x113d3, letter},
                                         {0x113d4, 0x113d5, punctuation},
                                         {0x113d7, 0x113d8, punctuation},
                                         {0x113e1, 0x113e2, mark},
                                         {0x116d0, 0x116e3, number},
                                         {0x11bc0, 0x11be0, letter},
                                         {0x11be1, 0x11be1, punctuation},
                                         {0x11bf0, 0x11bf9, number},
                                         {0x11f5a, 0x11f5a, mark},
                                         {0x13460, 0x143fa, letter},
                                         {0x16100, 0x1611d, letter},
                                         {0x1611e, 0x1612f, mark},
                                         {0x16130, 0x16139, number},
                                         {0x16d40, 0x16d6c, letter},
                                         {0x16d6d, 0x16d6f, punctuation},
                                         {0x16d70, 0x16d79, number},
                                         {0x18cff, 0x18cff, letter},
                                         {0x1cc00, 0x1ccef, symbol},
                                         {0x1ccf0, 0x1ccf9, number},
                                         {0x1cd00, 0x1ceb3, symbol},
                                         {0x1e5d0, 0x1e5ed, letter},
                                         {0x1e5ee, 0x1e5ef, mark},
                                         {0x1e5f0, 0x1e5f0, letter},
                                         {0x1e5f1, 0x1e5fa, number},
                                         {0x1e5ff, 0x1e5ff, punctuation},
                                         {0x1f8b2, 0x1f8bb, symbol},
                                         {0x1f8c0, 0x1f8c1, symbol},
                                         {0x1fa89, 0x1fa89, symbol},
                                         {0x1fa8f, 0x1fa8f, symbol},
                                         {0x1fabe, 0x1fabe, symbol},
                                         {0x1fac6, 0x1fac6, symbol},
                                         {0x1fadc, 0x1fadc, symbol},
                                         {0x1fadf, 0x1fadf, symbol},
                                         {0x1fae9, 0x1fae9, symbol},
                                         {0x1fbcb, 0x1fbef, symbol},
                                         {0x2ebf0, 0x2ee5d, letter}};

std::uint16_t late_class(char32_t code) {
  const auto after = std::upper_bound(std::begin(since_unicode_15), std::end(since_unicode_15), code,
                                      [](char32_t c, const Assigned& a) { return c < a.first; });
  if (after == std::begin(since_unicode_15) || code > std::prev(after)->last) return 0;
  return std::prev(after)->is;
}

// By utf8proc_category_t: Cn; Lu Ll Lt Lm Lo; Mn Mc Me; Nd Nl No; Pc Pd Ps Pe Pi Pf Po; Sm Sc Sk So; Zs Zl
// Zp; Cc Cf Cs Co.
constexpr std::array<std::uint16_t, 30> by_category = {
    0,           letter, letter, letter,      letter,      letter,      mark,        mark,        mark,
    number,      number, number, punctuation, punctuation, punctuation, punctuation, punctuation, punctuation,
    punctuation, symbol, symbol, symbol,      symbol,      space,       space,       space,       0,
    0,           0,      0};

}  // namespace

std::uint16_t char_class(char32_t code) {
  if (code == U'\r' || code == U'\n') return space | line_end | ascii;
  if (code == U' ') return space | blank | ascii;
  if (code >= U'\t' && code <= U'\r') return space | ascii;
  if (code == 0x85) return space;
  const utf8proc_category_t category = utf8proc_category(static_cast<utf8proc_int32_t>(code));
  if (category == UTF8PROC_CATEGORY_CN) return late_class(code);
  const std::uint16_t is = by_category[static_cast<std::size_t>(category)];
  return static_cast<std::uint16_t>(code < 0x80 ? is | ascii : is);
}

}  // namespace coterie::text
