#include "text/tokenizer.h"

#include "base/errors.h"
#include "text/bpe.h"
#include "text/byte_letters.h"
#include "text/pre_tokenizer.h"
#include "text/utf8.h"

#include <algorithm>
#include <array>
#include <bit>
#include <functional>
#include <limits>
#include <utility>

namespace coterie::text {

namespace {

// Turns end with these where EOS ends a document; the vocabulary's own eot_token_id counts too.
constexpr std::string_view turn_ends[] = {"<|eot_id|>", "<|im_end|>", "<|EOT|>", "<|end_of_text|>",
                                          "<|endoftext|>"};

[[noreturn]] void bad_token(std::size_t id, const std::string& reason) {
  throw ModelError("tokenizer.ggml.tokens: token " + std::to_string(id) + ": " + reason);
}

void check_counts(const Vocabulary& v) {
  if (v.model != "gpt2")
    throw ModelError("tokenizer.ggml.model: found " + v.model + ", expected gpt2 (byte-level BPE)");
  if (v.tokens.empty() || v.tokens.size() > static_cast<std::size_t>(std::numeric_limits<Token>::max()))
    throw ModelError("tokenizer.ggml.tokens: " + std::to_string(v.tokens.size()) +
                     " tokens, expected 1 to 2^31 - 1");
  if (v.kinds.size() != v.tokens.size())
    throw ModelError("tokenizer.ggml.token_type: " + std::to_string(v.kinds.size()) + " kinds, expected " +
                     std::to_string(v.tokens.size()));
  const std::pair<const char*, std::optional<Token>> ids[] = {
      {"bos_token_id", v.bos}, {"eos_token_id", v.eos}, {"padding_token_id", v.pad}, {"eot_token_id", v.eot}};
  for (const auto& [key, id] : ids)
    if (id && (*id < 0 || static_cast<std::size_t>(*id) >= v.tokens.size()))
      throw ModelError(std::string("tokenizer.ggml.") + key + ": found " + std::to_string(*id) +
                       ", expected 0 to " + std::to_string(v.tokens.size() - 1));
}

const PreTokenizerRules& rules_of(const Vocabulary& v) {
  if (const PreTokenizerRules* rules = find_pre_tokenizer(v.pre)) return *rules;
  std::string known;
  for (const PreTokenizerRules& rules : pre_tokenizers)
    known += (known.empty() ? "" : ", ") + std::string(rules.name);
  throw ModelError("tokenizer.ggml.pre: found \"" + v.pre.substr(0, 64) + "\", expected one of " + known);
}

TokenIndex index_tokens(const Vocabulary& v) {
  TokenIndex index;
  index.reserve(v.tokens.size());
  for (std::size_t id = 0; id < v.tokens.size(); ++id) {
    if (v.tokens[id].empty()) bad_token(id, "its text is empty");
    const auto [other, is_new] = index.try_emplace(v.tokens[id], static_cast<Token>(id));
    if (!is_new) bad_token(id, "has the text of token " + std::to_string(other->second));
  }
  return index;
}

// The tokens that stand for their text as a whole, in the order of their texts. A search narrows the range of
// those that begin with what was read; no other structure, so that a hostile list costs nothing.
class SpecialTokens {
 public:
  explicit SpecialTokens(const Vocabulary& v) : tokens_(v.tokens) {
    for (std::size_t id = 0; id < v.tokens.size(); ++id)
      if (v.kinds[id] == TokenKind::control || v.kinds[id] == TokenKind::user_defined ||
          v.kinds[id] == TokenKind::unknown)
        sorted_.push_back(static_cast<Token>(id));
    std::sort(sorted_.begin(), sorted_.end(), [&](Token a, Token b) { return text(a) < text(b); });
    for (const Token id : sorted_) begins_[static_cast<unsigned char>(text(id)[0])] = true;
  }

  // The longest special token at the start of a text, -1: none.
  Token longest(std::string_view in) const {
    if (!begins_[static_cast<unsigned char>(in[0])]) return -1;
    Token best = -1;
    auto low = sorted_.begin(), high = sorted_.end();
    for (std::size_t depth = 0; low != high; ++depth) {
      if (text(*low).size() == depth) best = *low++;
      if (depth == in.size()) break;
      const auto byte = [&](Token id) { return static_cast<unsigned char>(text(id)[depth]); };
      const auto wanted = static_cast<unsigned char>(in[depth]);
      low = std::partition_point(low, high, [&](Token id) { return byte(id) < wanted; });
      high = std::partition_point(low, high, [&](Token id) { return byte(id) == wanted; });
    }
    return best;
  }

  Token find(std::string_view wanted) const {
    const auto at = std::lower_bound(sorted_.begin(), sorted_.end(), wanted,
                                     [&](Token id, std::string_view w) { return text(id) < w; });
    return at != sorted_.end() && text(*at) == wanted ? *at : -1;
  }

 private:
  std::string_view text(Token id) const { return tokens_[static_cast<std::size_t>(id)]; }

  std::span<const std::string> tokens_;
  std::vector<Token> sorted_;
  std::array<bool, 256> begins_{};  // first bytes
};

// Remembers where the tokens of a piece were last written. One entry per slot: a collision forgets, nothing
// chains.
class PieceCache {
 public:
  explicit PieceCache(std::size_t text_bytes)
      : slots_(std::bit_ceil(std::clamp<std::size_t>(text_bytes / 8, 16, std::size_t{1} << 16))) {}

  struct Entry {
    std::string_view piece;
    std::size_t begin = 0, end = 0;  // in the output
  };
  Entry& slot(std::string_view piece) {
    return slots_[std::hash<std::string_view>{}(piece) & (slots_.size() - 1)];
  }

 private:
  std::vector<Entry> slots_;
};

}  // namespace

struct Tokenizer::Impl {
  Vocabulary vocabulary;
  TokenIndex index;  // views of vocabulary.tokens
  const PreTokenizerRules& rules;
  PreTokenizer pre_tokenizer;
  SpecialTokens specials;
  std::string bytes;                   // of all tokens, one after another
  std::vector<std::size_t> bytes_end;  // by id
  Bpe bpe;
  std::vector<Token> ends;  // tokens that end a text

  explicit Impl(Vocabulary v)
      : vocabulary(std::move(v)),
        index((check_counts(vocabulary), index_tokens(vocabulary))),
        rules(rules_of(vocabulary)),
        pre_tokenizer(rules),
        specials(vocabulary),
        bpe(vocabulary, index, token_lengths()) {
    keep_whole_pieces();
    if (vocabulary.eos) ends.push_back(*vocabulary.eos);
    if (vocabulary.eot) ends.push_back(*vocabulary.eot);
    for (const std::string_view text : turn_ends)
      if (const Token id = specials.find(text); id >= 0) ends.push_back(id);
  }

  // Fills bytes and bytes_end, and returns what the merges need of them.
  std::vector<std::uint32_t> token_lengths() {
    std::vector<std::uint32_t> lengths;
    for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
      const std::string& text = vocabulary.tokens[id];
      const std::size_t begin = bytes.size();
      // A normal token with a character that is no letter stands for its text, as in the reference library.
      if (vocabulary.kinds[id] == TokenKind::normal)
        bytes += bytes_of_letters(text).value_or(text);
      else if (vocabulary.kinds[id] != TokenKind::unused)
        bytes += text;
      bytes_end.push_back(bytes.size());
      lengths.push_back(static_cast<std::uint32_t>(bytes.size() - begin));
    }
    return lengths;
  }

  // From here on the index holds only the tokens that a piece may be whole and that the merges do not make of
  // it.
  void keep_whole_pieces() {
    Bpe::Scratch scratch;
    std::vector<Token> merged;
    if (!rules.ignore_merges) index.clear();
    std::erase_if(index, [&](const auto& entry) {
      merged.clear();
      if (kind(entry.second) == TokenKind::normal) bpe.encode(bytes_of(entry.second), scratch, merged);
      return merged.empty() || merged == std::vector<Token>{entry.second};
    });
  }

  std::string_view bytes_of(Token id) const {
    const auto i = static_cast<std::size_t>(id);
    if (id < 0 || i >= bytes_end.size())
      throw UsageError("token " + std::to_string(id) + ": the vocabulary has 0 to " +
                       std::to_string(bytes_end.size() - 1));
    const std::size_t begin = i == 0 ? 0 : bytes_end[i - 1];
    return std::string_view(bytes).substr(begin, bytes_end[i] - begin);
  }

  TokenKind kind(Token id) const { return vocabulary.kinds[static_cast<std::size_t>(id)]; }
  bool hidden(Token id) const { return kind(id) == TokenKind::control || kind(id) == TokenKind::unknown; }
};

namespace {

// One call of encode: the output and what is kept from piece to piece.
class Encoder {
 public:
  Encoder(const PreTokenizer& pre_tokenizer, const Bpe& bpe, const TokenIndex& whole_pieces,
          std::size_t text_bytes)
      : pre_tokenizer_(pre_tokenizer), bpe_(bpe), whole_pieces_(whole_pieces), cache_(text_bytes) {}

  void plain(std::string_view text) {
    pre_tokenizer_.for_each_piece(text, [&](std::string_view piece) { this->piece(piece); });
  }
  void special(Token id) { out_.push_back(id); }
  std::vector<Token> take() { return std::move(out_); }

 private:
  void piece(std::string_view piece) {
    PieceCache::Entry& known = cache_.slot(piece.substr(0, longest_key));
    const std::size_t begin = out_.size();
    if (known.piece == piece) {
      for (std::size_t i = known.begin; i < known.end; ++i) out_.push_back(out_[i]);
      return;
    }
    if (!whole(piece)) bpe_.encode(piece, scratch_, out_);
    if (piece.size() <= longest_key) known = {piece, begin, out_.size()};
  }

  bool whole(std::string_view piece) {
    if (whole_pieces_.empty()) return false;
    letters_.clear();
    for (const char c : piece) letters_ += byte_letters()[static_cast<unsigned char>(c)];
    const auto found = whole_pieces_.find(letters_);
    if (found == whole_pieces_.end()) return false;
    out_.push_back(found->second);
    return true;
  }

  static constexpr std::size_t longest_key = 64;

  const PreTokenizer& pre_tokenizer_;
  const Bpe& bpe_;
  const TokenIndex& whole_pieces_;
  PieceCache cache_;
  Bpe::Scratch scratch_;
  std::string letters_;
  std::vector<Token> out_;
};

}  // namespace

Tokenizer::Tokenizer(Vocabulary vocabulary) {
  const std::string origin = vocabulary.origin;
  try {
    impl_ = std::make_unique<Impl>(std::move(vocabulary));
  } catch (const ModelError& e) {
    throw ModelError(origin.empty() ? e.what() : origin + ": " + e.what());
  }
}
Tokenizer::~Tokenizer() = default;

std::vector<Token> Tokenizer::encode(std::string_view text, Special special) const {
  Marked marked{std::string(text), {}};
  if (special == Special::plain && !text.empty()) marked.foreign.push_back({0, text.size()});
  return encode(marked);
}

std::vector<Token> Tokenizer::encode(const Marked& marked) const {
  const std::string_view text = marked.text;
  Encoder encoder(impl_->pre_tokenizer, impl_->bpe, impl_->index, text.size());
  std::size_t plain = 0, at = 0;  // text[plain, at) holds no special token and is not encoded yet
  const auto search_to = [&](std::size_t end) {
    while (at < end) {
      const Token id = impl_->specials.longest(text.substr(at, end - at));
      if (id < 0) {
        ++at;
        continue;
      }
      encoder.plain(text.substr(plain, at - plain));
      encoder.special(id);
      plain = at += impl_->vocabulary.tokens[static_cast<std::size_t>(id)].size();
    }
  };
  for (const Range& foreign : marked.foreign) {
    search_to(std::min(foreign.begin, text.size()));
    at = std::max(at, std::min(foreign.end, text.size()));
  }
  search_to(text.size());
  encoder.plain(text.substr(plain));
  return encoder.take();
}

std::string_view Tokenizer::bytes(Token id, bool show_special) const {
  const std::string_view bytes = impl_->bytes_of(id);
  return impl_->hidden(id) && !show_special ? std::string_view{} : bytes;
}

std::string Tokenizer::decode(std::span<const Token> ids, bool show_special) const {
  std::string all, text;
  for (const Token id : ids) all += bytes(id, show_special);
  append_utf8(all, true, text);
  return text;
}

const Vocabulary& Tokenizer::vocabulary() const { return impl_->vocabulary; }

bool Tokenizer::is_special(Token id) const {
  return id >= 0 && static_cast<std::size_t>(id) < impl_->bytes_end.size() && impl_->hidden(id);
}

bool Tokenizer::ends_text(Token id) const {
  return std::find(impl_->ends.begin(), impl_->ends.end(), id) != impl_->ends.end();
}

Token Tokenizer::find(std::string_view special_text) const { return impl_->specials.find(special_text); }

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool show_special)
    : tokenizer_(tokenizer), show_special_(show_special) {}

std::string StreamDecoder::next(Token id) {
  std::string shown;
  pending_ += tokenizer_.bytes(id, show_special_);
  pending_.erase(0, append_utf8(pending_, false, shown));
  return shown;
}

std::string StreamDecoder::finish() {
  std::string shown;
  append_utf8(pending_, true, shown);
  pending_.clear();
  return shown;
}

}  // namespace coterie::text
