// Byte-level BPE tokenizer ("gpt2" model of GGUF) with the pre-tokenizers of the DeepSeek family and the
// generic ones.
//
// Linear in the input's length for any input, no recursion. Source of the rules: tokenizer.json files (golden
// data) and the names that llama.cpp gives them in tokenizer.ggml.pre.
#pragma once

#include "models/vocabulary.h"
#include "text/marked.h"

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace coterie::text {

enum class Special { parse, plain };  // does the text of a special token become that token?

class Tokenizer {
 public:
  // Throws ModelError: unknown pre-tokenizer, a bad merge, a duplicate token, an id out of range.
  explicit Tokenizer(Vocabulary vocabulary);
  ~Tokenizer();

  // Ids of a text, no BOS or EOS added. Invalid UTF-8 is encoded byte by byte.
  std::vector<Token> encode(std::string_view text, Special special) const;
  // Special tokens are recognised only where no foreign byte takes part.
  std::vector<Token> encode(const Marked& text) const;

  // The bytes of one token; special (control) tokens give their text when shown and nothing otherwise.
  std::string_view bytes(Token id, bool show_special) const;
  // All bytes of a sequence, broken UTF-8 replaced by U+FFFD as the Unicode standard recommends.
  std::string decode(std::span<const Token> ids, bool show_special) const;

  const Vocabulary& vocabulary() const;
  bool is_special(Token id) const;  // control or unknown: hidden unless asked for
  bool ends_text(Token id) const;   // EOS, or another end-of-turn token that the vocabulary names
  Token find(std::string_view special_text) const;  // id of the special token with that text, -1: none

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Decodes a stream token by token and never emits half a UTF-8 character.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, bool show_special = false);
  std::string next(Token id);  // what can be shown now; may be empty
  std::string finish();        // the rest, an unfinished character as U+FFFD

 private:
  const Tokenizer& tokenizer_;
  bool show_special_;
  std::string pending_;
};

}  // namespace coterie::text
