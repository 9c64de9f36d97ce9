// What a SOURCE argument names: the tokenizer and chat template of a GGUF file, a Hugging Face folder or a
// tokenizer.json. No weights are read.
#pragma once

#include "models/vocabulary.h"

#include <string>

namespace coterie::cli {

Vocabulary vocabulary_of(const std::string& source);
std::string chat_template_of(const std::string& source);  // empty: there is none

}  // namespace coterie::cli
