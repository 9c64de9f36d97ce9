#include "text/chat_template.h"

#include "text/template/interpreter.h"
#include "text/template/json.h"
#include "text/template/parser.h"

#include <nlohmann/json.hpp>

namespace coterie::text {

struct ChatTemplate::Tree {
  std::vector<jinja::Stmt> body;
};

ChatTemplate::ChatTemplate(const std::string& source) : tree_(new Tree{jinja::parse(source)}) {}
ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;

Marked ChatTemplate::render(const nlohmann::ordered_json& variables,
                            const std::map<std::string, std::string>& trusted,
                            const TemplateLimits& limits) const {
  jinja::Runtime rt(limits);
  jinja::Frame& globals = rt.frame(nullptr);
  for (const auto& [name, value] : variables.items()) globals.set(name, jinja::from_json(rt, value));
  for (const auto& [name, text] : trusted) globals.set(name, rt.text(text));
  return jinja::Interpreter(rt, globals).render(tree_->body);
}

}  // namespace coterie::text
