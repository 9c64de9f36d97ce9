// The chat template engine against Jinja2: the golden templates and conversations, some hundred stored cases of the
// language, the marks that keep message text harmless, and the limits.
#include "base/json.h"
#include "tests/support/gunzip.h"
#include "text/chat_template.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>
#include <string_view>
#include <vector>

namespace coterie::text {

namespace {

using Json = nlohmann::ordered_json;

const std::map<std::string, std::string> special{{"bos_token", "<\uff5cbegin\u2581of\u2581sentence\uff5c>"},
                                                 {"eos_token", "<\uff5cend\u2581of\u2581sentence\uff5c>"}};

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
        "<\uff5cbegin\u2581of\u2581sentence\uff5c>[<think>]|[thi]");
  CHECK(marked("{{ ('<' + m.strip() + '>').split('think') | join('!') }}", v) == "<[<]![>]>");
  CHECK(marked("{{ 'xay'.replace('a', d.k) }}{{ m | upper | trim }}", v) == "x[a<b>]y[<THINK>]");
  CHECK(marked("{% for k, x in d.items() %}{{ k ~ ':' ~ x }}{% endfor %}", v) == "[k]:[a<b>]");
  CHECK(marked("{{ 'plain' }}", v) == "plain");
}

// The message consists of the letters q, x, y and z, the templates below print none of them: every byte shows where it
// came from.
static std::string misplaced_mark(const Marked& m) {
  std::vector<bool> foreign(m.text.size());
  for (const Range& r : m.foreign)
    std::fill_n(foreign.begin() + static_cast<long>(r.begin), r.end - r.begin, true);
  for (std::size_t i = 0; i < m.text.size(); ++i) {
    const bool from_message = std::string_view("qxyzQXYZ").find(m.text[i]) != std::string_view::npos;
    if (from_message != foreign[i]) return "byte " + std::to_string(i) + " of " + m.text;
  }
  return "";
}

static const char* const mark_cases[] = {
    "<{{ m }}>",
    "{{ m | trim('x') }}!",
    "{{ m.strip('x') ~ '!' ~ m.lstrip('x') ~ m.rstrip('y') }}",
    "{{ m.split('q') }}",
    "{{ m.rsplit('q', 1) | join('-') }}",
    "{{ 'a' ~ m ~ 1 ~ m }}",
    "{{ ('a' + m + 'b')[::-1] }}",
    "{{ ('a' + m + 'b')[:-3] }}",
    "{{ m[0] ~ '.' ~ m[-1] }}",
    "{{ ('abc' * 2).replace('b', m) }}",
    "{{ m.replace('q', ' and ') }}",
    "{{ m.replace('', '.') }}",
    "{{ ('ab' ~ m) | replace('b', m, 1) }}",
    "{{ '%s is %5s %r' % (m, m[:2], m) }}",
    "{{ 'a%sb' | format(m) }}",
    "{{ m * 2 ~ '!' ~ 2 * m }}",
    "{{ [m, 'a', {m: m}] }}",
    "{{ [m, 'a', {m: 'b'}] | tojson }}",
    "{{ {'a': [m, 1]} | tojson(indent=2) }}",
    "{{ ['a', 'b'] | tojson(indent=m) }}",
    "{{ ['a'] | tojson(separators=(m, m)) }}",
    "{{ 'a\nb\n' | indent(m) }}",
    "{{ (m ~ '\n' ~ m) | indent(2) }}",
    "{{ m | upper ~ m.title() ~ ('a ' ~ m) | title }}",
    "{{ 'A.B'.split('.') | join(m) }}",
    "{{ m.join(['a', 'b']) }}",
    "{{ ('<' ~ m ~ '>') | e }}",
    "{{ m | list }}",
    "{{ m | reverse ~ 'a' }}",
    "{{ [m, 'a'] | sort }}",
    "{{ [m, m, 'a'] | unique | list }}",
    "{{ [m, 'a'] | map('upper') | list }}",
    "{% for c in m ~ 'ab' %}{{ c }},{% endfor %}",
    "{% for k, v in d.items() %}{{ k }}: {{ v }};{% endfor %}",
    "{% set c %}a{{ m }}b{% endset %}{{ c[1:] ~ c }}",
    "{% macro f(v) %}({{ v }}){% endmacro %}{{ f(m)[1:] ~ f('a') }}",
    "{% filter upper %}a{{ m }}b{% endfilter %}",
    "{% set n = namespace(t='a') %}{% set n.t = n.t + m %}{{ n.t }}",
    "{{ m.removeprefix('x') ~ 'a' ~ m.removesuffix('y') }}",
    "{{ (m ~ '\n' ~ 'a').splitlines() }}",
    "{{ strftime_now(m) }}",
    "{{ none | default(m) }}{{ nothing | default(m) }}",
    "{{ d | dictsort }}",
    "{{ d.x | first ~ 'a' ~ d.x | last }}",
};

TEST_CASE("every byte of a message is foreign, and no other, after every operation") {
  const std::string message = "xyzqzyxqyy";
  const Json v{{"m", message}, {"d", {{"y", message}, {"zz", "q"}, {"x", {message, "z"}}}}};
  for (const char* source : mark_cases) {
    INFO(source);
    CHECK(misplaced_mark(ChatTemplate(source).render(v)) == "");
  }
}

TEST_CASE("a mark that is lost, added, too long or too short is noticed") {
  const Marked right = ChatTemplate("a{{ m }}b").render({{"m", "xyz"}});
  REQUIRE(right.foreign.size() == 1);
  CHECK(misplaced_mark(right) == "");
  for (const std::vector<Range>& planted : std::vector<std::vector<Range>>{
           {}, {{0, 4}}, {{1, 5}}, {{2, 4}}, {{1, 3}}, {{1, 4}, {4, 5}}, {{0, 5}}})
    CHECK(misplaced_mark({right.text, planted}) != "");
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

TEST_CASE("time, memory and the depth of data are limited") {
  TemplateLimits limits;
  limits.time = std::chrono::milliseconds(20);
  limits.steps = 1'000'000'000;
  const std::string endless =
      "{% for a in range(99999) %}{% for b in range(9999) %}{{ '' }}{% endfor %}{% endfor %}";
  CHECK(error_of(endless, Json::object(), limits).find(" ms") != std::string::npos);
  const std::string growing = "{% set l = [] %}{% for i in range(99) %}{{ l.append(m ~ i) }}{% endfor %}";
  const std::string full = error_of(growing, {{"m", std::string(2'000'000, 'a')}});
  INFO(full);
  CHECK(full.find("values take more than") != std::string::npos);
  CHECK(error_of("{% set l = [] %}{{ l.append(l) }}{{ l }}").find("nested") != std::string::npos);
  Json deep = "bottom";
  for (int i = 0; i < 100; ++i) deep = Json::array({deep});
  CHECK(error_of("a", {{"deep", deep}}).find("nested") != std::string::npos);
}

// Each of these once took far longer than the time limit, which is looked at between operations.
TEST_CASE("no single operation takes more than linear time") {
  const auto begin = std::chrono::steady_clock::now();
  CHECK(ChatTemplate("{{ ('a' * 1000000).strip('b' * 1000000 ~ 'a') }}").render(Json::object()).text == "");
  std::string macro = "{% macro f(p";
  for (int i = 0; i < 20000; ++i) macro += ", p" + std::to_string(i);
  CHECK(error_of(macro + ") %}{% endmacro %}{% for i in range(99999) %}{{ f() }}{% endfor %}") != "");
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(10));
}

TEST_CASE("the least integer is a limit like any negative one") {
  const std::string least = "(-9223372036854775807 - 1)";
  for (const std::string call : {"'a,b'.split(',', ", "'a,b'.rsplit(',', ", "'a b'.split(none, "})
    CHECK(ChatTemplate("{{ " + call + least + ") }}").render(Json::object()).text == "['a', 'b']");
  CHECK(ChatTemplate("{{ 'aa'.replace('a', 'b', " + least + ") }}").render(Json::object()).text == "bb");
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
