// A tokenizer's data as GGUF stores it (tokenizer.ggml.*), whatever file it came from. Plain data: the converter fills it
// from tokenizer.json, the runtime from a GGUF, and text/tokenizer.h makes a tokenizer of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace coterie {

using Token = std::int32_t;

enum class TokenKind : std::int32_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

struct Vocabulary {
  std::string model = "gpt2";        // tokenizer.ggml.model; only byte-level BPE is known
  std::string pre;                   // tokenizer.ggml.pre: the pre-tokenizer's name, "deepseek-v3", "deepseek-llm", ...
  std::vector<std::string> tokens;   // by id, in byte-level letters; special tokens as plain text
  std::vector<TokenKind> kinds;      // by id
  std::vector<std::string> merges;   // "left right", best first
  std::optional<Token> bos, eos, pad;
  bool add_bos = false;
  bool add_eos = false;
};

}  // namespace coterie
