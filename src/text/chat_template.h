// A model's chat template: messages in, prompt out, with the marks that keep text from messages harmless.
#pragma once

#include "text/marked.h"
#include "text/template/limits.h"

#include <nlohmann/json_fwd.hpp>

#include <map>
#include <memory>
#include <string>

namespace coterie::text {

class ChatTemplate {
 public:
  explicit ChatTemplate(const std::string& source);  // Jinja; throws TemplateError
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  // variables: an object with messages, tools, add_generation_prompt and whatever else the template asks for.
  // Every byte that comes from it, by whatever string operation, is foreign in the result. trusted: texts
  // that may be special tokens (bos_token, eos_token); they win over variables of the same name. Safe to call
  // from several threads. Throws TemplateError.
  Marked render(const nlohmann::ordered_json& variables,
                const std::map<std::string, std::string>& trusted = {},
                const TemplateLimits& limits = {}) const;

 private:
  struct Tree;
  std::unique_ptr<const Tree> tree_;
};

}  // namespace coterie::text
