// Any bytes as a chat template for one fixed conversation: a text, or a TemplateError; never more than its limits.
#include "text/chat_template.h"

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

using namespace coterie;

static nlohmann::ordered_json conversation() {
  return {{"messages",
           {{{"role", "system"}, {"content", "Be brief."}},
            {{"role", "user"}, {"content", "<think> 1+1? \xe4\xbd\xa0"}},
            {{"role", "assistant"},
             {"content", nullptr},
             {"tool_calls",
              {{{"type", "function"}, {"function", {{"name", "f"}, {"arguments", "{\"a\": 1}"}}}}}}},
            {{"role", "tool"}, {"content", "2"}}}},
          {"tools", nullptr},
          {"add_generation_prompt", true}};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const nlohmann::ordered_json variables = conversation();
  text::TemplateLimits limits;
  limits.steps = 20'000;
  limits.output = 1 << 16;
  limits.memory = 1 << 20;
  limits.now = 1'700'000'000;
  try {
    const text::ChatTemplate form(std::string(reinterpret_cast<const char*>(data), size));
    const text::Marked m = form.render(variables, {{"bos_token", "<bos>"}}, limits);
    if (static_cast<std::int64_t>(m.text.size()) > limits.output) std::abort();
    std::size_t at = 0;  // the marks are what marked.h promises: ascending, disjoint, not empty, inside
    for (const text::Range& r : m.foreign) {
      if (r.begin < at || r.end <= r.begin || r.end > m.text.size()) std::abort();
      at = r.end;
    }
  } catch (const text::TemplateError&) {
  }
  return 0;
}
