#include "models/vocabulary.h"

#include "base/errors.h"
#include "gguf/reader.h"

#include <string_view>

namespace coterie {

namespace {

[[noreturn]] void fail(const gguf::Reader& file, std::string_view key, const std::string& reason) {
  throw ModelError(file.path() + ": key " + std::string(key) + ": " + reason);
}

std::vector<std::string> read_strings(const gguf::Reader& file, std::string_view key) {
  const std::vector<std::string_view> strings = file.strings(key);
  return {strings.begin(), strings.end()};
}

// Files without the list exist; all their tokens are normal. So is kind 0, which some writers use for "not
// said".
std::vector<TokenKind> read_kinds(const gguf::Reader& file, std::size_t n_tokens) {
  constexpr std::string_view key = "tokenizer.ggml.token_type";
  if (!file.has(key)) return std::vector<TokenKind>(n_tokens, TokenKind::normal);
  const std::vector<std::int64_t> numbers = file.integers(key);
  if (numbers.size() != n_tokens)
    fail(file, key, std::to_string(numbers.size()) + " kinds, expected " + std::to_string(n_tokens));
  std::vector<TokenKind> kinds;
  kinds.reserve(n_tokens);
  for (const std::int64_t kind : numbers) {
    if (kind < 0 || kind > 6)
      fail(file, key,
           "token " + std::to_string(kinds.size()) + " has kind " + std::to_string(kind) +
               ", expected 0 to 6");
    kinds.push_back(kind == 0 ? TokenKind::normal : static_cast<TokenKind>(kind));
  }
  return kinds;
}

std::optional<Token> read_id(const gguf::Reader& file, std::string_view key, std::size_t n_tokens) {
  if (!file.has(key)) return std::nullopt;
  return static_cast<Token>(file.integer(key, 0, static_cast<std::int64_t>(n_tokens) - 1));
}

}  // namespace

Vocabulary read_vocabulary(const gguf::Reader& file) {
  Vocabulary v;
  v.origin = file.path();
  v.model = file.text("tokenizer.ggml.model");
  if (v.model != "gpt2")
    fail(file, "tokenizer.ggml.model", "found " + v.model + ", expected gpt2 (byte-level BPE)");
  v.pre = file.text("tokenizer.ggml.pre");
  v.tokens = read_strings(file, "tokenizer.ggml.tokens");
  if (v.tokens.empty()) fail(file, "tokenizer.ggml.tokens", "no tokens, expected at least 1");
  v.kinds = read_kinds(file, v.tokens.size());
  v.merges = read_strings(file, "tokenizer.ggml.merges");
  v.bos = read_id(file, "tokenizer.ggml.bos_token_id", v.tokens.size());
  v.eos = read_id(file, "tokenizer.ggml.eos_token_id", v.tokens.size());
  v.pad = read_id(file, "tokenizer.ggml.padding_token_id", v.tokens.size());
  v.eot = read_id(file, "tokenizer.ggml.eot_token_id", v.tokens.size());
  v.add_bos = file.flag("tokenizer.ggml.add_bos_token", false);
  v.add_eos = file.flag("tokenizer.ggml.add_eos_token", false);
  return v;
}

}  // namespace coterie
