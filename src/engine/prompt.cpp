#include "engine/prompt.h"

#include "base/errors.h"
#include "gguf/reader.h"
#include "text/tokenizer.h"

#include <nlohmann/json.hpp>

namespace coterie {

std::map<std::string, std::string> special_texts(const Vocabulary& vocabulary) {
  std::map<std::string, std::string> texts;
  if (vocabulary.bos) texts["bos_token"] = vocabulary.tokens[static_cast<std::size_t>(*vocabulary.bos)];
  if (vocabulary.eos) texts["eos_token"] = vocabulary.tokens[static_cast<std::size_t>(*vocabulary.eos)];
  return texts;
}

std::vector<Token> encode_prompt(const text::Tokenizer& tokenizer, const text::Marked& text) {
  std::vector<Token> tokens = tokenizer.encode(text);
  const Vocabulary& v = tokenizer.vocabulary();
  // Older files say add_bos_token although their template writes BOS itself: it must appear once.
  if (v.add_bos && v.bos && (tokens.empty() || tokens.front() != *v.bos))
    tokens.insert(tokens.begin(), *v.bos);
  return tokens;
}

Prompter::Prompter(const Engine& engine) : engine_(engine) {
  if (engine.chat_template().empty()) return;
  try {
    template_.emplace(engine.chat_template());
  } catch (const text::TemplateError& e) {
    throw ModelError(engine.file().path() + ": " + e.what());
  }
}

Prompt Prompter::chat(const nlohmann::ordered_json& messages, std::optional<bool> think) const {
  if (!template_)
    throw UsageError(engine_.file().path() +
                     ": key tokenizer.chat_template: missing; without it only --raw prompts work");
  nlohmann::ordered_json variables{
      {"messages", messages}, {"tools", nullptr}, {"add_generation_prompt", true}};
  if (think) variables["thinking"] = variables["enable_thinking"] = *think;  // V3.1's and Qwen's names for it
  text::Marked text = template_->render(variables, special_texts(engine_.tokenizer().vocabulary()));

  constexpr std::string_view open = "<think>", blank = " \r\n\t";
  const std::size_t end = text.text.find_last_not_of(blank);
  const bool opened =
      end != std::string::npos && std::string_view(text.text).substr(0, end + 1).ends_with(open);
  if (opened && think == false) text.text += text.text.back() == '\n' ? "\n</think>\n\n" : "\n\n</think>\n\n";
  return {encode_prompt(engine_.tokenizer(), text), opened && think != false};
}

Prompt Prompter::raw(std::string_view text) const {
  return {encode_prompt(engine_.tokenizer(), {std::string(text), {}}), false};
}

}  // namespace coterie
