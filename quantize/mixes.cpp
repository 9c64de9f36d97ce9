#include "quantize/mixes.h"

#include <algorithm>
#include <cctype>

namespace coterie::quantize {

namespace {

constexpr Mix all_mixes[] = {
    {"Q4_0", 2, "Q4_0"},    {"Q4_1", 3, "Q4_1"},        {"Q5_0", 8, "Q5_0"},      {"Q5_1", 9, "Q5_1"},
    {"Q8_0", 7, "Q8_0"},    {"Q2_K", 10, "Q2_K"},       {"Q2_K_S", 21, "Q2_K"},   {"Q3_K_S", 11, "Q3_K"},
    {"Q3_K_M", 12, "Q3_K"}, {"Q3_K_L", 13, "Q3_K"},     {"Q4_K_S", 14, "Q4_K"},   {"Q4_K_M", 15, "Q4_K"},
    {"Q5_K_S", 16, "Q5_K"}, {"Q5_K_M", 17, "Q5_K"},     {"Q6_K", 18, "Q6_K"},     {"IQ1_S", 24, "IQ1_S"},
    {"IQ1_M", 31, "IQ1_M"}, {"IQ2_XXS", 19, "IQ2_XXS"}, {"IQ2_XS", 20, "IQ2_XS"}, {"IQ2_S", 28, "IQ2_XS"},
    {"IQ2_M", 29, "IQ2_S"}, {"IQ3_XXS", 23, "IQ3_XXS"}, {"IQ3_XS", 22, "IQ3_S"},  {"IQ3_S", 26, "IQ3_S"},
    {"IQ3_M", 27, "IQ3_S"}, {"IQ4_NL", 25, "IQ4_NL"},   {"IQ4_XS", 30, "IQ4_XS"}, {"TQ1_0", 36, "TQ1_0"},
    {"TQ2_0", 37, "TQ2_0"}, {"MXFP4_MOE", 38, "MXFP4"},
};

// Files of one format that no mix is named for.
struct PlainType {
  std::string_view format;
  std::uint32_t file_type;
};
constexpr PlainType plain_types[] = {{"F32", 0}, {"F16", 1}, {"BF16", 32}, {"NVFP4", 39}};

// The first rule that fits a tensor names its format: the mix is among those named, the part is one of parts,
// all of the facts "with" hold and none of the facts "without".
struct Rule {
  std::string_view mixes;
  unsigned parts;
  unsigned with, without;
  const char* format;
};

constexpr unsigned operator|(Part a, Part b) { return static_cast<unsigned>(a) | static_cast<unsigned>(b); }
constexpr unsigned only(Part a) { return static_cast<unsigned>(a); }

constexpr unsigned all_parts = 1023;
constexpr unsigned value = only(Part::attention_value), key = only(Part::attention_key),
                   query = only(Part::attention_query), attention_output = only(Part::attention_output),
                   down = only(Part::down), output = only(Part::output), embedding = only(Part::embedding);

// Two bits and fewer.
constexpr std::string_view smallest = "IQ1_S IQ1_M IQ2_XXS IQ2_XS IQ2_S IQ2_M";

constexpr Rule rules[] = {
    // the head; Q8_0 stays what it is
    {"MXFP4_MOE", output, 0, 0, "Q8_0"},
    {"*", output, odd_rows, 0, "Q8_0"},
    {"IQ1_S IQ1_M IQ2_XXS IQ2_XS IQ2_S IQ2_M IQ3_XXS", output, 0, 0, "Q5_K"},
    {"Q8_0", output, 0, 0, "Q8_0"},
    {"*", output, 0, 0, "Q6_K"},

    {"MXFP4_MOE", all_parts, 0, stacked, "Q8_0"},
    {"MXFP4_MOE", all_parts, stacked, 0, "MXFP4"},

    {"IQ1_S IQ1_M IQ2_XXS IQ2_XS", embedding, 0, 0, "Q2_K"},
    {"IQ2_S IQ2_M IQ3_XXS", embedding, 0, 0, "IQ3_S"},
    {"TQ1_0 TQ2_0", embedding, 0, 0, "Q4_K"},

    {smallest, value, shared_keys, 0, "Q4_K"},
    {smallest, value, four_experts, 0, "Q4_K"},
    {"IQ2_S IQ2_M", value, 0, 0, "IQ3_S"},
    {smallest, value, 0, 0, "Q2_K"},
    {smallest, key, eight_experts, 0, "Q4_K"},
    {"IQ2_S IQ2_M", down, early_down, 0, "IQ3_S"},
    {smallest, down, early_down, 0, "Q2_K"},
    {smallest, attention_output, eight_experts, 0, "Q5_K"},
    {"IQ1_S IQ1_M", attention_output, 0, 0, "IQ2_XXS"},
    {"IQ2_S IQ2_M", attention_output, 0, 0, "IQ3_S"},

    {"*", value | key, eight_experts, 0, "Q8_0"},
    {"Q2_K Q2_K_S IQ3_XXS IQ3_XS IQ3_S", value, shared_keys, 0, "Q4_K"},
    {"Q2_K", value, 0, 0, "Q3_K"},
    {"IQ3_XXS", value, 0, importance, "IQ3_S"},
    {"IQ3_M", value, 0, 0, "Q4_K"},
    {"Q3_K_M", value, first_two, 0, "Q5_K"},
    {"Q3_K_M", value, 0, 0, "Q4_K"},
    {"Q3_K_L", value, 0, 0, "Q5_K"},
    {"IQ4_NL IQ4_XS", value, shared_keys, 0, "Q5_K"},
    {"Q4_K_M Q5_K_M", value, value_more_bits, 0, "Q6_K"},
    {"Q4_K_S", value, first_four, 0, "Q5_K"},

    {"IQ3_XS", key | query, 0, 0, "IQ3_XXS"},
    {"IQ3_XXS", key | query, 0, 0, "IQ2_S"},

    {"Q2_K", down, 0, 0, "Q3_K"},
    {"Q2_K_S", down, first_eighth, 0, "Q4_K"},
    {"IQ3_XXS", down, first_eighth, importance, "Q4_K"},
    {"IQ3_XXS", down, 0, importance, "Q3_K"},
    {"Q3_K_M", down, first_sixteenth, 0, "Q5_K"},
    {"Q3_K_M", down, 0, 0, "Q4_K"},
    {"IQ3_M", down, first_eighth, 0, "Q4_K"},
    {"IQ3_M", down, eight_experts | more_bits, 0, "Q4_K"},
    {"Q3_K_L", down, 0, 0, "Q5_K"},
    {"Q4_K_M Q5_K_M", down, more_bits, 0, "Q6_K"},
    {"IQ4_NL IQ4_XS", down, first_eighth, importance, "Q5_K"},
    {"Q4_K_S", down, first_eighth, 0, "Q5_K"},
    {"Q4_0", down, first_eighth | importance, 0, "Q4_1"},
    {"Q5_0", down, first_eighth | importance, 0, "Q5_1"},

    {"Q2_K IQ3_XS IQ3_XXS Q3_K_S Q3_K_M IQ4_NL Q4_K_S Q4_K_M IQ3_S IQ3_M IQ4_XS", attention_output,
     eight_experts, 0, "Q5_K"},
    {"Q2_K", attention_output, 0, eight_experts, "Q3_K"},
    {"IQ3_XXS", attention_output, 0, eight_experts, "IQ3_S"},
    {"Q3_K_M IQ3_M", attention_output, 0, eight_experts, "Q4_K"},
    {"Q3_K_L", attention_output, 0, eight_experts, "Q5_K"},

    {"IQ3_XS", Part::up | Part::gate, middle, 0, "IQ3_XXS"},
};

bool among(std::string_view name, std::string_view names) {  // one of the words
  if (names == "*") return true;
  for (std::size_t at = names.find(name); at != std::string_view::npos; at = names.find(name, at + 1)) {
    const std::size_t end = at + name.size();
    if ((at == 0 || names[at - 1] == ' ') && (end == names.size() || names[end] == ' ')) return true;
  }
  return false;
}

bool same_name(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) {
    return std::toupper(static_cast<unsigned char>(x)) == std::toupper(static_cast<unsigned char>(y));
  });
}

}  // namespace

std::span<const Mix> mixes() { return all_mixes; }

const Mix* find_mix(std::string_view name) {
  for (const Mix& m : all_mixes)
    if (same_name(m.name, name)) return &m;
  return nullptr;
}

std::uint32_t file_type_of(const FormatInfo& format) {
  for (const PlainType& p : plain_types)
    if (p.format == format.name) return p.file_type;
  if (const Mix* m = find_mix(format.name)) return m->file_type;
  return std::ranges::find(all_mixes, std::string_view(format.name), &Mix::base)->file_type;
}

static const FormatInfo& follow_rules(const Mix& mix, Part part, unsigned facts) {
  for (const Rule& r : rules)
    if ((r.parts & only(part)) != 0 && (r.with & facts) == r.with && (r.without & facts) == 0 &&
        among(mix.name, r.mixes))
      return *find_format(std::string_view(r.format));
  return *find_format(std::string_view(mix.base));
}

const FormatInfo& choose(const Mix& mix, Part part, unsigned facts) {
  const FormatInfo& chosen = follow_rules(mix, part, facts);
  const bool raise =
      part == Part::attention_value && (facts & seventy_billion) != 0 && !among(mix.name, smallest);
  const bool low = std::string_view(chosen.name) == "Q3_K" || std::string_view(chosen.name) == "Q4_K";
  return raise && low ? *find_format("Q5_K") : chosen;
}

}  // namespace coterie::quantize
