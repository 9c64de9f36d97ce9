// Vocabularies for the tests of this folder: the golden ones, each loaded once, and a small one to plant
// errors in.
#pragma once

#include "models/vocabulary.h"
#include "text/tokenizer.h"

#include <string>
#include <vector>

namespace coterie::test {

// The names of golden/tokenizer/vectors.json and vectors-llamacpp.json.
inline const std::vector<std::string> hf_names = {"deepseek-v3-r1", "deepseek-v2", "tiny-v3", "tiny-v2"};
inline const std::vector<std::string> gguf_names = {"qwen2", "llama-bpe", "deepseek-coder"};

bool available(const std::string& name);  // false only in the compact set; prints which one is left out
const Vocabulary& golden_vocabulary(const std::string& name);
const text::Tokenizer& golden_tokenizer(const std::string& name);

// 256 bytes in the order of their values, then "in", "ing", " in", " a", control tokens <s> and </s>,
// user-defined <think>.
Vocabulary small_vocabulary(const std::string& pre = "deepseek-v3");

}  // namespace coterie::test
