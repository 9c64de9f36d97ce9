#include "cli/source.h"

#include "cli/files.h"
#include "convert/hf_tokenizer.h"
#include "convert/keys.h"
#include "gguf/reader.h"

#include <variant>

namespace coterie::cli {

Vocabulary vocabulary_of(const std::string& source) {
  if (is_folder(source) || source.ends_with(".json")) return convert::read_hf_vocabulary(source);
  return read_vocabulary(gguf::Reader(source));
}

std::string chat_template_of(const std::string& source) {
  constexpr const char* key = "tokenizer.chat_template";
  if (!is_folder(source)) return std::string(gguf::Reader(source).text(key, ""));
  convert::Keys keys;
  convert::add_template_key(source, keys);
  for (const auto& [name, value] : keys)
    if (const std::string* text = std::get_if<std::string>(&value); text != nullptr && name == key)
      return *text;
  return "";
}

}  // namespace coterie::cli
