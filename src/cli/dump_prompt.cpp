// coterie dump prompt MODEL|--template FILE.jinja CONVERSATIONS.json [--ids]: rendered prompts, or their
// tokens.
#include "base/errors.h"
#include "cli/command.h"
#include "cli/files.h"
#include "cli/source.h"
#include "engine/prompt.h"
#include "text/tokenizer.h"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <map>
#include <optional>
#include <string>

namespace coterie::cli {

namespace {

using Json = nlohmann::ordered_json;
using Texts = std::map<std::string, std::string>;

Json render(const text::ChatTemplate& form, Json variables, const Texts& special,
            const text::Tokenizer* tokenizer) {
  if (!variables.is_object())
    throw UsageError(std::string("conversations: found a JSON ") + variables.type_name() +
                     ", expected objects");
  variables.erase("name");
  variables.emplace("tools", nullptr);  // these two are always defined, as with transformers
  variables.emplace("add_generation_prompt", false);
  if (const auto more = variables.find("kwargs"); more != variables.end() && more->is_object()) {
    const Json named = *more;  // as chat_template_kwargs of servers: each entry is a variable
    variables.erase(more);
    variables.update(named);
  }
  try {
    const text::Marked text = form.render(variables, special);
    if (tokenizer == nullptr) return text.text;
    return encode_prompt(*tokenizer, text);
  } catch (const text::TemplateError& e) {
    return {{"error", e.what()}};
  }
}

int dump_prompt(Args& args) {
  const std::string first =
      args.positional("MODEL", "a GGUF file or a Hugging Face folder; with --template: left out");
  const std::optional<std::string> second =
      args.maybe_positional("CONVERSATIONS", "a JSON array of {messages, ...}");
  const std::optional<std::string> file =
      args.maybe("--template FILE", "render this Jinja file with DeepSeek's BOS and EOS");
  const bool ids = args.flag("--ids", "print token ids; text from messages never forms special tokens");
  args.finish();
  if (file && (second || ids)) throw UsageError("dump prompt: --template goes with CONVERSATIONS alone");
  if (!file && !second)
    throw UsageError("dump prompt: CONVERSATIONS is missing; see coterie dump prompt --help");

  Texts special{{"bos_token", "<\uff5cbegin\u2581of\u2581sentence\uff5c>"},
                {"eos_token", "<\uff5cend\u2581of\u2581sentence\uff5c>"}};
  std::optional<text::Tokenizer> tokenizer;
  if (!file) {
    tokenizer.emplace(vocabulary_of(first));
    special = special_texts(tokenizer->vocabulary());
  }
  const std::string source = file ? read_text(*file) : chat_template_of(first);
  if (source.empty()) throw UsageError((file ? *file : first) + ": there is no chat template");
  const text::ChatTemplate form(source);
  const Json conversations = read_json(file ? first : *second);
  if (!conversations.is_array())
    throw UsageError(std::string("conversations: found a JSON ") + conversations.type_name() +
                     ", expected an array");
  Json out = Json::array();
  for (const Json& c : conversations) out.push_back(render(form, c, special, ids ? &*tokenizer : nullptr));
  std::printf("%s\n", out.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
  return 0;
}

}  // namespace

const Command dump_prompt_command{"dump prompt", "conversations rendered by a chat template", dump_prompt,
                                  "coterie dump prompt model.gguf conversations.json\n"
                                  "coterie dump prompt --template r1.jinja conversations.json\n"
                                  "coterie dump prompt model.gguf conversations.json --ids"};

}  // namespace coterie::cli
