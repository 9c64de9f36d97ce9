// From messages to the tokens of a prompt.
#pragma once

#include "engine/engine.h"
#include "text/chat_template.h"

#include <nlohmann/json_fwd.hpp>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace coterie {

struct Prompt {
  std::vector<Token> tokens;
  bool opened = false;  // it ends inside <think>, so that the reply begins with reasoning
};

// The texts that a template may use as special tokens: bos_token and eos_token, where the vocabulary has
// them.
std::map<std::string, std::string> special_texts(const Vocabulary& vocabulary);

// Tokens of a text, BOS in front where the vocabulary asks for it and the text has none yet.
std::vector<Token> encode_prompt(const text::Tokenizer& tokenizer, const text::Marked& text);

class Prompter {
 public:
  explicit Prompter(const Engine& engine);  // throws ModelError: the file's template cannot be parsed

  // messages: [{"role", "content"}, ...]. think: none leaves the template's own way, false closes an opened
  // <think> at once. Throws UsageError when the file has no chat template.
  Prompt chat(const nlohmann::ordered_json& messages, std::optional<bool> think) const;
  Prompt raw(std::string_view text) const;  // no template; special tokens in the text are meant

 private:
  const Engine& engine_;
  std::optional<text::ChatTemplate> template_;
};

}  // namespace coterie
