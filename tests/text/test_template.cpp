// The chat template engine against Jinja2: the golden templates and conversations, some hundred stored cases of the
// language, the marks that keep message text harmless, and the limits.
#include "base/json.h"
#include "tests/support/gunzip.h"
#include "text/chat_template.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>
#include <iterator>

namespace coterie::text {

namespace {

using Json = nlohmann::ordered_json;

const std::map<std::string, std::string> special{{"bos_token", "<｜begin▁of▁sentence｜>"},
                                                 {"eos_token", "<｜end▁of▁sentence｜>"}};

Json parsed(const std::string& text, const std::string& name) {
  return parse_json(text, {8 << 20, 64}, name);
}

Json golden_json(const std::string& name) { return parsed(test::golden_bytes(name), name); }

Json variables_of(const Json& conversation) {
  Json variables = conversation;
  variables.erase("name");
  if (!variables.contains("tools")) variables["tools"] = nullptr;
  if (!variables.contains("add_generation_prompt")) variables["add_generation_prompt"] = false;
  if (variables.contains("kwargs")) {
    const Json more = variables["kwargs"];
    variables.erase("kwargs");
    variables.update(more);
  }
  return variables;
}

// The foreign parts of a rendering, in brackets.
std::string marked(const std::string& source, const Json& variables) {
  const Marked m = ChatTemplate(source).render(variables, special);
  std::string out;
  std::size_t at = 0;
  for (const Range& r : m.foreign) {
    out += m.text.substr(at, r.begin - at) + "[" + m.text.substr(r.begin, r.end - r.begin) + "]";
    at = r.end;
  }
  return out + m.text.substr(at);
}

std::string error_of(const std::string& source, const Json& variables = Json::object(),
                     const TemplateLimits& limits = {}) {
  try {
    ChatTemplate(source).render(variables, {}, limits);
  } catch (const TemplateError& e) {
    CHECK(std::string(e.what()).find('\n') == std::string::npos);
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("every golden template renders every conversation as Jinja2 does") {
  const Json conversations = golden_json("chat/conversations.json");
  const Json rendered = golden_json("chat/rendered.json");
  for (const Json& c : rendered.at("cases")) {
    const std::string name = c.at("template");
    INFO(name, " ", c.at("conversation").get<std::string>());
    const auto conversation = std::find_if(conversations.begin(), conversations.end(), [&](const Json& x) {
      return x.at("name") == c.at("conversation");
    });
    std::string text;
    bool failed = false;
    try {
      const ChatTemplate form(test::golden_bytes("chat/templates/" + name + ".jinja"));
      text = form.render(variables_of(*conversation), special).text;
    } catch (const TemplateError&) {
      failed = true;
    }
    CHECK(failed == c.contains("error"));
    if (!failed) CHECK(text == c.value("text", ""));
  }
  CHECK(rendered.at("cases").size() > 50);
}

TEST_CASE("stored cases of the language come out as Jinja2 has them") {
  std::ifstream in(COTERIE_SOURCE_DIR "/tests/text/template_cases.json", std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const Json stored = parsed(text, "template_cases.json");
  for (const Json& c : stored.at("cases")) {
    const std::string source = c.at("template");
    INFO(source);
    std::string got;
    bool failed = false;
    try {
      got = ChatTemplate(source).render(stored.at("data").at(c.at("data").get<std::string>())).text;
    } catch (const TemplateError&) {
      failed = true;
    }
    CHECK(failed == c.contains("error"));
    if (!failed) CHECK(got == c.value("text", ""));
  }
  CHECK(stored.at("cases").size() >= 300);
}

TEST_CASE("text from messages stays foreign through every string operation, the template's own does not") {
  const Json v{{"m", "  <think>\n"}, {"d", {{"k", "a<b>"}}}};
  CHECK(marked("<think>{{ m }}</think>", v) == "<think>[  <think>\n]</think>");
  CHECK(marked("{{ bos_token + m | trim }}|{{ m.strip()[1:4] }}", v) ==
        "<｜begin▁of▁sentence｜>[<think>]|[thi]");
  CHECK(marked("{{ ('<' + m.strip() + '>').split('think') | join('!') }}", v) == "<[<]![>]>");
  CHECK(marked("{{ 'xay'.replace('a', d.k) }}{{ m | upper | trim }}", v) == "x[a<b>]y[<THINK>]");
  CHECK(marked("{% for k, x in d.items() %}{{ k ~ ':' ~ x }}{% endfor %}", v) == "[k]:[a<b>]");
  CHECK(marked("{{ 'plain' }}", v) == "plain");
}

TEST_CASE("a lost or a widened mark would be noticed") {
  const Json v{{"m", "<think>"}};
  const std::string right = marked("a{{ m }}b", v);
  CHECK(right != "a<think>b");
  CHECK(right != "[a<think>]b");
}

TEST_CASE("hostile templates end in an error within the limits") {
  CHECK(error_of("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}") != "");
  CHECK(error_of("{{ 'a' * 10**9 }}") != "");
  CHECK(
      error_of(
          "{% for i in range(10000) %}{{ 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' * 100 }}{% endfor %}") !=
      "");
  CHECK(error_of("{{ " + std::string(100000, '(')) != "");
  CHECK(error_of("{{ " + std::string(100000, '[')) != "");
  CHECK(error_of("{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}") != "");
  TemplateLimits few;
  few.steps = 1000;
  CHECK(error_of("{% for i in range(9999) %}{% endfor %}", Json::object(), few) != "");
  CHECK(error_of("{% for i in range(9) %}{% endfor %}", Json::object(), few) == "");
}

TEST_CASE("syntax errors name the line") {
  CHECK(error_of("a\nb {% if %}").find("2") != std::string::npos);
  for (const char* source :
       {"{{", "{% if x %}", "{{ 1 + }}", "{% endfor %}", "{{ 'a }}", "{% for in x %}{% endfor %}"})
    CHECK(error_of(source) != "");
  CHECK(error_of("{{ raise_exception('no system message here') }}").find("no system message here") !=
        std::string::npos);
}

}  // namespace coterie::text
