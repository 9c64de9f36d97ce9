#include "text/pre_tokenizer.h"

#include "text/unicode.h"
#include "text/utf8.h"

#include <algorithm>
#include <iterator>

namespace coterie::text {

namespace {

// Bits of the sets that one machine defines for itself.
enum OwnClass : std::uint16_t { own_1 = 512, own_2 = 1024, own_3 = 2048, own_4 = 4096, own_5 = 8192 };

// Every matcher below gives the length of the rule's match at a character, 0: none. A match is found as a
// regex would find it: alternatives in order, repetitions as long as possible, the end of the piece as the
// end of the text.

std::size_t run(const Char* at, const Char* end, int set) {
  const Char* stop = at;
  while (stop != end && (stop->is & set) != 0) ++stop;
  return static_cast<std::size_t>(stop - at);
}

std::size_t run_without(const Char* at, const Char* end, int set) {
  const Char* stop = at;
  while (stop != end && (stop->is & set) == 0) ++stop;
  return static_cast<std::size_t>(stop - at);
}

template <int set>
std::size_t run_of(const Char* at, const Char* end) {
  return run(at, end, set);
}

template <int set, std::size_t most>
std::size_t few_of(const Char* at, const Char* end) {
  return run(at, end - at < static_cast<std::ptrdiff_t>(most) ? end : at + most, set);
}

// \s?[set]+ where the set may contain spaces: the space stays outside the run only if it must.
template <int set>
std::size_t space_and_run(const Char* at, const Char* end) {
  if ((at->is & space) != 0)
    if (const std::size_t n = run(at + 1, end, set); n > 0) return 1 + n;
  return run(at, end, set);
}

// \s+(?!\S)|\s+ : all of it at the end, else all but the last, which belongs to what follows.
std::size_t spaces(const Char* at, const Char* end) {
  const std::size_t n = run(at, end, space);
  return n > 1 && at + n != end ? n - 1 : n;
}

// \s*[\r\n]+ and then the above: up to the last line end, if there is one.
std::size_t spaces_by_line(const Char* at, const Char* end) {
  for (std::size_t n = run(at, end, space); n > 0; --n)
    if ((at[n - 1].is & line_end) != 0) return n;
  return spaces(at, end);
}

// The third step of deepseek-v3.
std::size_t v3_word(const Char* at, const Char* end) {
  constexpr int sign = punctuation | symbol;
  if ((at->is & ascii) != 0 && (at->is & sign) != 0) {
    const Char* stop = at + 1;
    while (stop != end && (stop->is & ascii) != 0 && (stop->is & letter) != 0) ++stop;
    if (stop != at + 1) return static_cast<std::size_t>(stop - at);
  }
  if ((at->is & (line_end | letter | sign)) == 0)
    if (const std::size_t n = run(at + 1, end, letter | mark); n > 0) return 1 + n;
  if (const std::size_t n = run(at, end, letter | mark); n > 0) return n;

  const std::size_t lead = (at->is & blank) != 0 ? 1 : 0;
  if (const std::size_t n = run(at + lead, end, sign); n > 0)
    return lead + n + run(at + lead + n, end, line_end);
  return spaces_by_line(at, end);
}

// 's 't 'm 'd, 're 've, 'll: own_1 is the apostrophe, own_2 [stmd], own_3 [rv], own_4 e, own_5 l, in one case
// or both.
std::size_t contraction(const Char* at, const Char* end) {
  const auto has = [&](std::ptrdiff_t i, int set) { return end - at > i && (at[i].is & set) != 0; };
  if (!has(0, own_1)) return 0;
  if (has(1, own_2)) return 2;
  return (has(1, own_3) && has(2, own_4)) || (has(1, own_5) && has(2, own_5)) ? 3 : 0;
}

// The one step of qwen2 (a number is one digit) and llama-bpe (up to three).
template <std::size_t digits>
std::size_t bpe_word(const Char* at, const Char* end) {
  if (const std::size_t n = contraction(at, end); n > 0) return n;
  const std::size_t other = (at->is & (line_end | letter | number)) == 0 ? 1 : 0;
  if (const std::size_t n = run(at + other, end, letter); n > 0) return other + n;
  if (const std::size_t n = few_of<number, digits>(at, end); n > 0) return n;

  const std::size_t lead = (at->is & blank) != 0 ? 1 : 0;
  if (const std::size_t n = run_without(at + lead, end, space | letter | number); n > 0)
    return lead + n + run(at + lead + n, end, line_end);
  return spaces_by_line(at, end);
}

std::size_t gpt2_word(const Char* at, const Char* end) {
  if (const std::size_t n = contraction(at, end); n > 0) return n;
  const std::size_t lead = (at->is & blank) != 0 ? 1 : 0;
  const Char* word = at + lead;
  for (const int set : {letter, number})
    if (const std::size_t n = run(word, end, set); n > 0) return lead + n;
  if (const std::size_t n = run_without(word, end, space | letter | number); n > 0) return lead + n;
  return spaces(at, end);
}

// A step: every match becomes a piece, and so does what lies between two matches.
template <std::size_t match(const Char*, const Char*)>
void isolate(Char* begin, Char* end) {
  for (Char* at = begin; at != end;) {
    const std::size_t n = match(at, end);
    at->cut = at->cut || n > 0;
    at += n > 0 ? n : 1;
    if (n > 0 && at != end) at->cut = true;
  }
}

// \s+$ as a step: from the end, because a search from every start would look at a run of spaces once per
// space.
void isolate_trailing_spaces(Char* begin, Char* end) {
  Char* at = end;
  while (at != begin && (at[-1].is & space) != 0) --at;
  if (at != end) at->cut = true;
}

std::string_view step_of(std::string_view name, std::size_t i) { return find_pre_tokenizer(name)->steps[i]; }

}  // namespace

struct PreTokenizer::Machine {
  std::string_view name;                 // of its rules
  std::array<std::string_view, 5> sets;  // patterns whose [...] are own_1, own_2, ...
  std::array<Step, 6> steps;
};

const std::array<PreTokenizer::Machine, 6>& PreTokenizer::machines() {
  static const std::array<Machine, 6> all = {{
      {"deepseek-v3",
       {step_of("deepseek-v3", 1)},
       {isolate<few_of<number, 3>>, isolate<run_of<own_1>>, isolate<v3_word>}},
      {"deepseek-llm",
       {step_of("deepseek-llm", 1), step_of("deepseek-llm", 2), step_of("deepseek-llm", 4)},
       {isolate<few_of<line_end, 1>>, isolate<space_and_run<own_1>>, isolate<space_and_run<own_2>>,
        isolate_trailing_spaces, isolate<run_of<own_3>>, isolate<few_of<number, 1>>}},
      {"deepseek-coder",
       {step_of("deepseek-coder", 3)},
       {isolate<few_of<line_end, 1>>, isolate<space_and_run<letter>>, isolate<space_and_run<punctuation>>,
        isolate<run_of<own_1>>, isolate<few_of<number, 1>>}},
      // U+017F is a long s, which (?i:s) matches.
      {"qwen2", {"[']", "[sStTmMdD\u017f]", "[rRvV]", "[eE]", "[lL]"}, {isolate<bpe_word<1>>}},
      {"llama-bpe", {"[']", "[sStTmMdD\u017f]", "[rRvV]", "[eE]", "[lL]"}, {isolate<bpe_word<3>>}},
      {"gpt-2", {"[']", "[stmd]", "[rv]", "[e]", "[l]"}, {isolate<gpt2_word>}},
  }};
  return all;
}

// The characters and ranges between the brackets of a pattern; there are no escapes in those that are parsed.
std::vector<PreTokenizer::CodePointRange> PreTokenizer::parse_set(std::string_view pattern) {
  std::vector<CodePointRange> set;
  if (pattern.empty()) return set;
  pattern = pattern.substr(0, pattern.rfind(']'));
  pattern.remove_prefix(pattern.find('[') + 1);
  const auto take = [&] {
    const Utf8Step step = next_utf8(pattern);
    pattern.remove_prefix(step.bytes);
    return step.code;
  };
  while (!pattern.empty()) {
    const char32_t first = take();
    char32_t last = first;
    if (pattern.size() > 1 && pattern[0] == '-') {
      take();
      last = take();
    }
    set.push_back({first, last});
  }
  std::sort(set.begin(), set.end());
  return set;
}

PreTokenizer::PreTokenizer(const PreTokenizerRules& rules) {
  for (const Machine& machine : machines())
    if (machine.name == rules.name) machine_ = &machine;
  for (const std::string_view pattern : machine_->sets) sets_.push_back(parse_set(pattern));
  for (char32_t code = 0; code < ascii_.size(); ++code) ascii_[code] = classify(code);
}

std::uint16_t PreTokenizer::classify(char32_t code) const {
  int is = char_class(code), own = own_1;
  for (const std::vector<CodePointRange>& set : sets_) {
    const auto after = std::upper_bound(set.begin(), set.end(), CodePointRange{code, code});
    if (after != set.begin() && code <= std::prev(after)->last) is |= own;
    own <<= 1;
  }
  return static_cast<std::uint16_t>(is);
}

std::vector<Char> PreTokenizer::split(std::string_view text) const {
  std::vector<Char> chars;
  chars.reserve(text.size());
  bool cut = true;
  for (std::size_t at = 0; at < text.size();) {
    if (const auto byte = static_cast<unsigned char>(text[at]); byte < 0x80) {
      chars.push_back({ascii_[byte], 1, cut});
      cut = false;
      ++at;
      continue;
    }
    const Utf8Step step = next_utf8(text.substr(at));
    if (step.kind == Utf8Step::Kind::character) {
      chars.push_back({classify(step.code), static_cast<std::uint8_t>(step.bytes), cut});
      cut = false;
    } else {
      chars.insert(chars.end(), step.bytes, Char{0, 1, true});
      cut = true;
    }
    at += step.bytes;
  }

  Char* const end = chars.data() + chars.size();
  for (const Step step : machine_->steps) {
    if (step == nullptr) break;
    for (Char* piece = chars.data(); piece != end;) {
      Char* stop = piece + 1;
      while (stop != end && !stop->cut) ++stop;
      step(piece, stop);
      piece = stop;
    }
  }
  return chars;
}

}  // namespace coterie::text
