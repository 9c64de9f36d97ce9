// Cuts a text into the pieces within which byte-level BPE merges. The rules are models/pre_tokenizers.h, here
// as code: every step walks the characters once, so that the time is linear in the text whatever it contains.
#pragma once

#include "models/pre_tokenizers.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace coterie::text {

// One character of a text being cut; a byte that is no part of valid UTF-8 counts as a character and a piece
// of its own.
struct Char {
  std::uint16_t is;    // a set of CharClass
  std::uint8_t bytes;  // in the text
  bool cut;            // a piece begins here
};

class PreTokenizer {
 public:
  explicit PreTokenizer(const PreTokenizerRules& rules);

  // Calls use(piece) for the pieces of a text from left to right; together they are the text.
  template <class Use>
  void for_each_piece(std::string_view text, Use&& use) const {
    std::size_t begin = 0, at = 0;
    for (const Char& c : split(text)) {
      if (c.cut && at > begin) {
        use(text.substr(begin, at - begin));
        begin = at;
      }
      at += c.bytes;
    }
    if (at > begin) use(text.substr(begin, at - begin));
  }

 private:
  using Step = void (*)(Char* begin, Char* end);
  struct Machine;
  struct CodePointRange {
    char32_t first, last;
    bool operator<(const CodePointRange& other) const { return first < other.first; }
  };

  static const std::array<Machine, 6>& machines();
  static std::vector<CodePointRange> parse_set(std::string_view pattern);
  std::uint16_t classify(char32_t code) const;
  std::vector<Char> split(std::string_view text) const;

  const Machine* machine_ = nullptr;
  std::vector<std::vector<CodePointRange>> sets_;  // of the machine's own bits
  std::array<std::uint16_t, 128> ascii_{};         // classify() of these
};

}  // namespace coterie::text
