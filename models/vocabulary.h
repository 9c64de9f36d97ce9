// A tokenizer's data as GGUF stores it (tokenizer.ggml.*), whatever file it came from. Plain data: the
// converter fills it from tokenizer.json, the runtime from a GGUF, text/tokenizer.h makes a tokenizer of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace coterie {

using Token = std::int32_t;

enum class TokenKind : std::int32_t {
  normal = 1,
  unknown = 2,
  control = 3,
  user_defined = 4,
  unused = 5,
  byte = 6
};

struct Vocabulary {
  std::string origin;               // the file it was read from, for errors; empty: none
  std::string model = "gpt2";       // tokenizer.ggml.model; only byte-level BPE is known
  std::string pre;                  // tokenizer.ggml.pre: a name of models/pre_tokenizers.h
  std::vector<std::string> tokens;  // by id, in byte-level letters; special tokens as plain text
  std::vector<TokenKind> kinds;     // by id
  std::vector<std::string> merges;  // "left right", best first
  std::optional<Token> bos, eos, pad;
  std::optional<Token> eot;  // tokenizer.ggml.eot_token_id: ends a turn where EOS ends a document
  bool add_bos = false;
  bool add_eos = false;
};

namespace gguf {
class Reader;
}

// The keys tokenizer.ggml.*. Throws ModelError naming the key; that tokens and merges fit together is the
// tokenizer's check.
Vocabulary read_vocabulary(const gguf::Reader& file);

}  // namespace coterie
