#include "tests/text/vocabularies.h"

#include "convert/hf_tokenizer.h"
#include "gguf/reader.h"
#include "tests/support/gunzip.h"
#include "text/byte_letters.h"

#include <map>
#include <memory>

namespace coterie::test {

namespace {

std::string file_of(const std::string& name) {
  if (name == "tiny-v3") return "models/v3-yarn/tokenizer.json";
  if (name == "tiny-v2") return "models/v2/tokenizer.json";
  if (name.starts_with("deepseek-v")) return "tokenizer/" + name + ".tokenizer.json";
  return "tokenizer/ggml-vocab-" + name + ".gguf";
}

}  // namespace

bool available(const std::string& name) { return has_golden(file_of(name)); }

const Vocabulary& golden_vocabulary(const std::string& name) {
  static std::map<std::string, Vocabulary> loaded;
  const auto found = loaded.find(name);
  if (found != loaded.end()) return found->second;
  const std::string path = golden_path(file_of(name));
  return loaded[name] = path.ends_with(".gguf") ? read_vocabulary(gguf::Reader(path))
                                                : convert::read_hf_vocabulary(path);
}

const text::Tokenizer& golden_tokenizer(const std::string& name) {
  static std::map<std::string, std::unique_ptr<text::Tokenizer>> loaded;
  std::unique_ptr<text::Tokenizer>& tokenizer = loaded[name];
  if (!tokenizer) tokenizer = std::make_unique<text::Tokenizer>(golden_vocabulary(name));
  return *tokenizer;
}

Vocabulary small_vocabulary(const std::string& pre) {
  Vocabulary v;
  v.pre = pre;
  v.tokens.assign(text::byte_letters().begin(), text::byte_letters().end());
  for (const char* token : {"in", "ing", "\u0120in", "\u0120a"}) v.tokens.emplace_back(token);
  v.kinds.assign(v.tokens.size(), TokenKind::normal);
  for (const char* token : {"<s>", "</s>"}) v.tokens.emplace_back(token);
  v.kinds.resize(v.tokens.size(), TokenKind::control);
  v.tokens.emplace_back("<think>");
  v.kinds.push_back(TokenKind::user_defined);
  v.merges = {"i n", "in g", "\u0120 in", "\u0120 a"};
  v.bos = 260;
  v.eos = 261;
  return v;
}

}  // namespace coterie::test
