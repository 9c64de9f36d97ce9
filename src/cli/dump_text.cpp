// coterie dump tokens SOURCE [--special] and coterie dump text SOURCE: texts to ids and back, JSON arrays in
// and out.
#include "base/errors.h"
#include "cli/command.h"
#include "cli/files.h"
#include "cli/source.h"
#include "text/tokenizer.h"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <string>
#include <vector>

namespace coterie::cli {

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* source_help = "a GGUF file, a Hugging Face folder or a tokenizer.json";

Json array_from_stdin() {
  Json in = read_json("-");
  if (!in.is_array())
    throw UsageError(std::string("standard input: found a JSON ") + in.type_name() + ", expected an array");
  return in;
}

int dump_tokens(Args& args) {
  const std::string source = args.positional("SOURCE", source_help);
  const bool special = args.flag("--special", "the text of a special token becomes that token");
  args.finish();

  const text::Tokenizer tokenizer(vocabulary_of(source));
  Json out = Json::array();
  for (const Json& text : array_from_stdin()) {
    if (!text.is_string())
      throw UsageError(std::string("standard input: found a JSON ") + text.type_name() + ", expected texts");
    out.push_back(tokenizer.encode(text.get_ref<const std::string&>(),
                                   special ? text::Special::parse : text::Special::plain));
  }
  std::printf("%s\n", out.dump().c_str());
  return 0;
}

int dump_text(Args& args) {
  const std::string source = args.positional("SOURCE", source_help);
  args.finish();

  const text::Tokenizer tokenizer(vocabulary_of(source));
  const std::size_t n = tokenizer.vocabulary().tokens.size();
  Json out = Json::array();
  for (const Json& ids : array_from_stdin())
    out.push_back(tokenizer.decode(token_ids(ids, n, "standard input"), true));
  std::printf("%s\n", out.dump().c_str());
  return 0;
}

}  // namespace

const Command dump_tokens_command{"dump tokens", "token ids of the texts on stdin (a JSON array)",
                                  dump_tokens,
                                  "echo '[\"Hello\"]' | coterie dump tokens model.gguf\n"
                                  "echo '[\"<think>\"]' | coterie dump tokens tokenizer.json --special"};
const Command dump_text_command{"dump text", "texts of the token ids on stdin (a JSON array of arrays)",
                                dump_text, "echo '[[19923]]' | coterie dump text model.gguf"};

}  // namespace coterie::cli
