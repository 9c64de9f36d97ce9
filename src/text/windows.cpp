#include "text/windows.h"

namespace coterie::text {

std::vector<std::vector<Token>> windows_of(const Tokenizer& tokenizer, std::string_view text,
                                           std::int64_t size, Special special) {
  const Vocabulary& v = tokenizer.vocabulary();
  std::vector<std::vector<Token>> windows;
  for (const Token token : tokenizer.encode(text, special)) {
    const bool begins = special == Special::parse && v.bos && token == *v.bos;
    if (windows.empty() || begins || static_cast<std::int64_t>(windows.back().size()) == size) {
      windows.emplace_back();
      if (v.bos && v.add_bos && !begins) windows.back().push_back(*v.bos);
    }
    windows.back().push_back(token);
  }
  return windows;
}

}  // namespace coterie::text
