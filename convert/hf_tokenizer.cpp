#include "convert/hf_tokenizer.h"

#include "base/errors.h"
#include "convert/json_text.h"
#include "models/pre_tokenizers.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

namespace coterie::convert {

namespace fs = std::filesystem;

namespace {

constexpr JsonLimits tokenizer_limits{std::uint64_t{64} << 20, 32};
constexpr JsonLimits config_limits{std::uint64_t{1} << 20, 32};
constexpr std::int64_t max_tokens = 1 << 20;  // ids may have gaps, which are filled: bounds the memory

const Json null_value;

// A member, null where there is none.
const Json& member(const Json& object, const char* key) {
  if (!object.is_object()) return null_value;
  const auto found = object.find(key);
  return found == object.end() ? null_value : *found;
}

std::string text_of(const Json& value) {
  return value.is_string() ? value.get<std::string>() : std::string();
}
bool is_true(const Json& value) { return value.is_boolean() && value.get<bool>(); }

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string result;
  for (std::size_t at = 0; (at = text.find(from)) != text.npos; text.remove_prefix(at + from.size()))
    result.append(text.substr(0, at)).append(to);
  return result.append(text);
}

// Added tokens that are not marked special but look it; llama.cpp's converter treats them as special too.
bool looks_special(std::string_view text) {
  const auto between = [&](std::string_view a, std::string_view z) {
    return text.starts_with(a) && text.ends_with(z);
  };
  return text == "<pad>" || between("<|", "|>") || between("<\uff5c", "\uff5c>") || between("<unused", ">");
}

class VocabularyReader {
 public:
  VocabularyReader(const HfTokenizerTexts& texts, const std::string& subject)
      : subject_(subject), tokenizer_(parse_json(texts.tokenizer, tokenizer_limits, subject)) {
    if (texts.tokenizer_config)
      tokenizer_config_ =
          parse_json(*texts.tokenizer_config, tokenizer_limits, subject + ": tokenizer_config.json");
    if (texts.config) config_ = parse_json(*texts.config, config_limits, subject + ": config.json");
  }

  Vocabulary read() {
    v_.origin = subject_;
    check_model();
    read_tokens();
    read_added_tokens();
    fill_gaps();
    read_merges();
    read_pre_tokenizer();
    read_ids();
    read_additions();
    return std::move(v_);
  }

 private:
  [[noreturn]] void fail(const std::string& where, const std::string& reason) const {
    throw ModelError(subject_ + ": " + where + ": " + reason);
  }

  void check_model() {
    const Json& model = member(tokenizer_, "model");
    if (text_of(member(model, "type")) != "BPE")
      fail("model.type", "found " + shown(member(model, "type")) + ", expected \"BPE\"");
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"})
      if (!text_of(member(model, key)).empty())
        fail(std::string("model.") + key, "found " + shown(member(model, key)) + ", expected none");
  }

  std::string& slot(const std::string& where, const Json& id) {
    if (!id.is_number_integer() || id < 0 || id >= max_tokens)
      fail(where, "id " + shown(id) + ", expected 0 to " + std::to_string(max_tokens - 1));
    const auto i = id.get<std::size_t>();
    if (i >= v_.tokens.size()) {
      v_.tokens.resize(i + 1);
      v_.kinds.resize(i + 1, TokenKind::normal);
    }
    return v_.tokens[i];
  }

  void read_tokens() {
    const Json& vocab = member(member(tokenizer_, "model"), "vocab");
    if (!vocab.is_object()) fail("model.vocab", "found " + shown(vocab) + ", expected an object");
    for (const auto& [text, id] : vocab.items()) {
      std::string& token = slot("model.vocab", id);
      if (text.empty()) fail("model.vocab", "token " + shown(id) + " has an empty text");
      if (!token.empty()) fail("model.vocab", "two tokens have id " + shown(id));
      token = text;
    }
  }

  void read_added_tokens() {
    const Json& added = member(tokenizer_, "added_tokens");
    if (!added.is_null() && !added.is_array())
      fail("added_tokens", "found " + shown(added) + ", expected an array");
    for (const Json& entry : added) {
      std::string text = text_of(member(entry, "content"));
      if (text.empty()) fail("added_tokens", "an entry without content: " + shown(entry));
      const Json& id = member(entry, "id");
      std::string& token = slot("added_tokens", id);
      if (!token.empty() && token != text)
        fail("added_tokens", "id " + shown(id) + " is another token already");
      const bool special = is_true(member(entry, "special")) || looks_special(text);
      if (!special) text = replaced(text, "\u2581", " ");
      token = text;
      v_.kinds[id.get<std::size_t>()] = special ? TokenKind::control : TokenKind::user_defined;
    }
  }

  void fill_gaps() {
    if (v_.tokens.empty()) fail("model.vocab", "no tokens, expected at least 1");
    if (const Json& size = member(config_, "vocab_size"); !size.is_null()) {
      if (!size.is_number_integer() || size < v_.tokens.size() || size > max_tokens)
        fail("config.json: vocab_size", "found " + shown(size) + ", expected " +
                                            std::to_string(v_.tokens.size()) + " to " +
                                            std::to_string(max_tokens));
      v_.tokens.resize(size.get<std::size_t>());
      v_.kinds.resize(v_.tokens.size(), TokenKind::unused);
    }
    for (std::size_t id = 0; id < v_.tokens.size(); ++id) {
      if (!v_.tokens[id].empty()) continue;
      v_.tokens[id] = "[PAD" + std::to_string(id) + "]";
      v_.kinds[id] = TokenKind::unused;
    }
  }

  // "left right", or the newer ["left", "right"]. A space within a part (which the newer form allows) is its
  // byte letter.
  void read_merges() {
    const Json& merges = member(member(tokenizer_, "model"), "merges");
    if (!merges.is_array()) fail("model.merges", "found " + shown(merges) + ", expected an array");
    for (const Json& merge : merges) {
      if (merge.is_string()) {
        v_.merges.push_back(merge.get<std::string>());
      } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
        v_.merges.push_back(replaced(text_of(merge[0]), " ", "\u0120") + " " +
                            replaced(text_of(merge[1]), " ", "\u0120"));
      } else {
        fail("model.merges", "found " + shown(merge) + ", expected two tokens");
      }
    }
  }

  // One step of the pre-tokenizer as models/pre_tokenizers.h writes it.
  void add_step(const Json& step, std::vector<std::string>& steps) {
    const std::string type = text_of(member(step, "type"));
    if (type == "Split" && text_of(member(step, "behavior")) == "Isolated" &&
        !is_true(member(step, "invert"))) {
      const std::string pattern = text_of(member(member(step, "pattern"), "Regex"));
      steps.push_back(replaced(replaced(pattern, "\r", "\\r"), "\n", "\\n"));
    } else if (type == "Digits" && is_true(member(step, "individual_digits"))) {
      steps.emplace_back(digits_step);
    } else if (type == "ByteLevel" && !is_true(member(step, "add_prefix_space"))) {
      // Its own rules, unless switched off, are those of GPT-2.
      if (member(step, "use_regex").is_null() || is_true(member(step, "use_regex")))
        steps.emplace_back(find_pre_tokenizer("gpt-2")->steps[0]);
    } else {
      fail("pre_tokenizer", "unknown step " + shown(step));
    }
  }

  void read_pre_tokenizer() {
    const Json& all = member(tokenizer_, "pre_tokenizer");
    std::vector<std::string> steps;
    if (text_of(member(all, "type")) == "Sequence") {
      for (const Json& step : member(all, "pretokenizers")) add_step(step, steps);
    } else {
      add_step(all, steps);
    }
    const auto same = [&](const PreTokenizerRules& rules) {
      const auto end = std::find(rules.steps.begin(), rules.steps.end(), std::string_view());
      return std::equal(rules.steps.begin(), end, steps.begin(), steps.end());
    };
    const auto rules = std::find_if(pre_tokenizers.begin(), pre_tokenizers.end(), same);
    if (rules == pre_tokenizers.end()) fail("pre_tokenizer", "unknown rules " + shown(all));
    if (is_true(member(member(tokenizer_, "model"), "ignore_merges")) != rules->ignore_merges)
      fail("model.ignore_merges", std::string("expected ") + (rules->ignore_merges ? "true" : "false") +
                                      " with the pre-tokenizer of " + std::string(rules->name));
    v_.pre = rules->name;
    // DeepSeek's distilled Qwen models have rules of Qwen2 and a name of their own.
    if (v_.pre == "qwen2" && added_id("<\uff5cbegin\u2581of\u2581sentence\uff5c>"))
      v_.pre = "deepseek-r1-qwen";
  }

  std::optional<Token> added_id(const std::string& text) const {
    for (const Json& entry : member(tokenizer_, "added_tokens"))
      if (text_of(member(entry, "content")) == text) return member(entry, "id").get<Token>();
    return std::nullopt;
  }

  // The text of tokenizer_config's "bos_token" and so on: a string, or an object with it.
  std::string special_text(const std::string& key) const {
    const Json& entry = member(tokenizer_config_, (key + "_token").c_str());
    return text_of(entry.is_object() ? member(entry, "content") : entry);
  }

  std::optional<Token> special_id(const std::string& key) const {
    if (const std::optional<Token> id = added_id(special_text(key))) return id;
    const Json& id = member(config_, (key + "_token_id").c_str());
    if (!id.is_number_integer() || id >= v_.tokens.size()) return std::nullopt;
    if (id < 0)
      fail("config.json: " + key + "_token_id", "found " + shown(id) + ", expected no negative number");
    return id.get<Token>();
  }

  void read_ids() {
    v_.bos = special_id("bos");
    v_.eos = special_id("eos");
    v_.pad = special_id("pad");
  }

  // Whether BOS and EOS are added: the post-processor decides (a ByteLevel one adds nothing), else
  // tokenizer_config.
  void read_additions() {
    const Json& processor = member(tokenizer_, "post_processor");
    const Json& list = member(processor, "processors");
    bool decided = false;
    for (const Json& step : list.is_array() ? list : Json::array({processor})) {
      const std::string type = text_of(member(step, "type"));
      decided = decided || type == "ByteLevel" || type == "TemplateProcessing";
      const Json& single = member(step, "single");
      if (type != "TemplateProcessing" || !single.is_array() || single.empty()) continue;
      const auto is = [&](const Json& part, const char* key) {
        const std::string text = text_of(member(member(part, "SpecialToken"), "id"));
        return !text.empty() && text == special_text(key);
      };
      v_.add_bos = is(single.front(), "bos");
      v_.add_eos = is(single.back(), "eos");
    }
    if (decided) return;
    v_.add_bos = is_true(member(tokenizer_config_, "add_bos_token"));
    v_.add_eos = is_true(member(tokenizer_config_, "add_eos_token"));
  }

  const std::string& subject_;
  Json tokenizer_, tokenizer_config_, config_;
  Vocabulary v_;
};

std::optional<std::string> read_if_there(const fs::path& path, JsonLimits limits) {
  if (!fs::exists(path)) return std::nullopt;
  return read_text(path.string(), limits.max_bytes);
}

}  // namespace

Vocabulary parse_hf_vocabulary(const HfTokenizerTexts& texts, const std::string& subject) {
  return VocabularyReader(texts, subject).read();
}

Vocabulary read_hf_vocabulary(const std::string& folder_or_tokenizer_json) {
  const fs::path given = folder_or_tokenizer_json;
  const bool is_folder = fs::is_directory(given);
  const fs::path folder = is_folder ? given : given.parent_path();
  const fs::path tokenizer = is_folder ? given / "tokenizer.json" : given;
  return parse_hf_vocabulary({read_text(tokenizer.string(), tokenizer_limits.max_bytes),
                              read_if_there(folder / "tokenizer_config.json", tokenizer_limits),
                              read_if_there(folder / "config.json", config_limits)},
                             tokenizer.string());
}

}  // namespace coterie::convert
