// tokenizer.json and tokenizer_config.json of a Hugging Face folder, as the tokenizer keys of a GGUF: the
// same tokens, kinds, merges and ids that llama.cpp's converter writes. The pre-tokenizer is recognised by
// its rules, not by a hash.
#pragma once

#include "models/vocabulary.h"

#include <optional>
#include <string>

namespace coterie::convert {

struct HfTokenizerTexts {
  std::string tokenizer;                        // tokenizer.json
  std::optional<std::string> tokenizer_config;  // tokenizer_config.json: names BOS, EOS and padding
  std::optional<std::string> config;  // config.json: vocab_size, ids that tokenizer_config does not name
};

// A folder, or a tokenizer.json whose neighbours are read too where they exist. Throws FileError (not
// readable, no JSON within the limits) or ModelError (no byte-level BPE, unknown pre-tokenizer, ids that do
// not fit).
Vocabulary read_hf_vocabulary(const std::string& folder_or_tokenizer_json);

Vocabulary parse_hf_vocabulary(const HfTokenizerTexts& texts,
                               const std::string& subject);  // subject: for errors

}  // namespace coterie::convert
