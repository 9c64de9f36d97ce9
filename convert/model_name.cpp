#include "convert/model_name.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <regex>
#include <set>
#include <vector>

namespace coterie::convert {

namespace {

enum class Kind { basename, size, finetune, version, type };

struct Part {
  std::string text;
  std::set<Kind> kinds;
  bool is(Kind kind) const { return kinds.contains(kind); }
};

bool matches(const std::string& text, const char* pattern) {
  return std::regex_match(text, std::regex(pattern, std::regex::ECMAScript | std::regex::icase));
}

bool is_letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }
bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }
char upper(char c) { return static_cast<char>(std::toupper(static_cast<unsigned char>(c))); }
char lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (const char c : text)
    if (c != separator)
      parts.back() += c;
    else if (!parts.back().empty())
      parts.emplace_back();
  if (parts.back().empty()) parts.pop_back();
  return parts;
}

// A word in lower case gets a capital wherever letters begin; versions and numbers stay.
std::string title(const std::string& word) {
  const bool has_lower =
      std::any_of(word.begin(), word.end(), [](unsigned char c) { return std::islower(c) != 0; });
  const bool has_upper =
      std::any_of(word.begin(), word.end(), [](unsigned char c) { return std::isupper(c) != 0; });
  if (!has_lower || has_upper || is_digit(word[0]) || std::regex_match(word, std::regex(R"(v\d+(\.\d+)*)")))
    return word;
  std::string result = word;
  for (std::size_t i = 0; i < result.size(); ++i)
    if (i == 0 || !is_letter(result[i - 1])) result[i] = upper(result[i]);
  return result;
}

std::string id_to_title(std::string id) {
  std::replace(id.begin(), id.end(), '-', ' ');
  std::string result;
  for (const std::string& word : split(id, ' ')) result += (result.empty() ? "" : " ") + title(word);
  return result;
}

// "7b1" -> "7.1B", "8b" -> "8B".
std::string normal_size(std::string size) {
  std::replace(size.begin(), size.end(), '_', '.');
  if (is_digit(size.back())) {
    const std::size_t n = size.size();
    size = size.substr(0, n - 2) + "." + size[n - 1] + size[n - 2];
  }
  if (size.size() > 1 && is_digit(size[size.size() - 2])) size.back() = upper(size.back());
  return size;
}

// A number far from the model's size is a context length ("128k").
void annotate_size(Part& part, std::int64_t total) {
  part.text = normal_size(part.text);
  const std::string digits = part.text.substr(0, part.text.size() - 1);
  if (total != 0 && std::regex_match(digits, std::regex(R"(\d+(\.\d+)?)"))) {
    const auto power = static_cast<int>(std::string(" KMBT").find(part.text.back()));
    const double named = std::stod(digits) * std::pow(1000.0, power);
    if (std::abs(named - static_cast<double>(total)) > std::floor(7.0 * static_cast<double>(total) / 8)) {
      part.kinds.insert(Kind::finetune);
      part.text.back() = lower(part.text.back());
      return;
    }
  }
  part.kinds.insert(Kind::size);
}

void annotate(std::vector<Part>& parts, std::int64_t total) {
  for (std::size_t i = 0; i < parts.size(); ++i) {
    Part& part = parts[i];
    if (matches(part.text, R"((v|iter)?\d+([.]\d+)*)")) {
      part.kinds.insert(Kind::version);
    } else if (matches(part.text, R"(i?q\d(_\w)*|b?fp?(16|32))")) {
      part.kinds.insert(Kind::type);
      std::transform(part.text.begin(), part.text.end(), part.text.begin(), upper);
    } else if (i > 0 && matches(part.text,
                                R"((([A]|\d+[x])?\d+([._]\d+)?[KMBT][\d]?|small|mini|medium|large|x?xl))")) {
      annotate_size(part, total);
    } else if (i > 0 && matches(part.text, "chat|instruct|vision|lora")) {
      part.kinds.insert(Kind::finetune);
    }
  }
}

// Words such as "mini" are no sizes where a number says the size.
void drop_word_sizes(std::vector<Part>& parts) {
  const auto has_digit = [](const Part& p) {
    return p.is(Kind::size) && std::any_of(p.text.begin(), p.text.end(), is_digit);
  };
  if (std::none_of(parts.begin(), parts.end(), has_digit)) return;
  for (Part& p : parts)
    if (p.is(Kind::size) && std::all_of(p.text.begin(), p.text.end(), is_letter)) p.kinds.erase(Kind::size);
}

// The basename is the beginning up to the first part of another kind; versions at its end are the version.
void find_basename(std::vector<Part>& parts) {
  bool at_start = true;
  for (Part& p : parts) {
    if (at_start && ((p.kinds.empty() && is_letter(p.text[0])) || p.is(Kind::version))) {
      p.kinds.insert(Kind::basename);
      continue;
    }
    at_start = false;
    if (p.kinds.empty()) p.kinds.insert(Kind::finetune);
  }
  for (auto p = parts.rbegin(); p != parts.rend() && p->is(Kind::basename) && p->kinds.size() > 1; ++p)
    p->kinds.erase(Kind::basename);
}

template <class Chosen>
std::optional<std::string> join(const std::vector<Part>& parts, Chosen chosen) {
  std::vector<std::string> texts;
  for (const Part& p : parts)
    if (chosen(p)) texts.push_back(p.text);
  if (texts.empty()) return std::nullopt;
  std::string all = texts[0];
  for (std::size_t i = 1; i < texts.size(); ++i) all += "-" + texts[i];
  return all;
}

std::string rounded(std::int64_t count) {
  static constexpr struct {
    double above, unit;
    char suffix;
  } scales[] = {{1e12, 1e-12, 'T'}, {1e9, 1e-9, 'B'}, {1e6, 1e-6, 'M'}, {-1, 1e-3, 'K'}};
  const auto value = static_cast<double>(count);
  const auto* scale = scales;
  while (value <= scale->above) ++scale;
  const double scaled = value * scale->unit;
  const long long whole = std::llrint(scaled);
  const int digits = whole == 0 ? 0 : static_cast<int>(std::to_string(whole).size());
  char text[64];
  std::snprintf(text, sizeof text, "%.*f%c", std::max(2 - digits, 0), scaled, scale->suffix);
  return text;
}

}  // namespace

ModelName parse_model_id(const std::string& id, std::int64_t total) {
  ModelName result;
  if (id.find(' ') != std::string::npos) {
    result.name = id_to_title(id);
    return result;
  }
  const std::size_t slash = id.find('/');
  const std::string full = slash == std::string::npos ? id : id.substr(slash + 1);
  if (slash != std::string::npos && slash > 0 && id[0] != '.')
    result.organization = id_to_title(id.substr(0, slash));

  std::vector<Part> parts;
  for (const std::string& text : split(full, '-')) parts.push_back({text, {}});
  annotate(parts, total);
  drop_word_sizes(parts);
  find_basename(parts);

  result.name = id_to_title(full);
  result.basename = join(parts, [](const Part& p) { return p.is(Kind::basename); });
  result.finetune = join(parts, [](const Part& p) { return p.is(Kind::finetune); });
  result.version = join(parts, [](const Part& p) { return p.is(Kind::version) && !p.is(Kind::basename); });
  std::set<std::string> seen;
  result.size_label =
      join(parts, [&](const Part& p) { return p.is(Kind::size) && seen.insert(p.text).second; });
  if (!result.size_label && !result.finetune && !result.version) result.basename.reset();  // too ambiguous
  return result;
}

ModelName name_of_model(const std::string& name_or_path, const std::string& folder, std::int64_t total) {
  std::filesystem::path path = std::filesystem::absolute(folder).lexically_normal();
  if (path.filename().empty()) path = path.parent_path();
  ModelName by_folder = parse_model_id(path.filename().string(), total);

  constexpr std::size_t longest_id = 200;  // anything longer is no id, and regular expressions recurse
  const bool is_id = !name_or_path.empty() && name_or_path.size() <= longest_id &&
                     std::count(name_or_path.begin(), name_or_path.end(), '/') <= 1;
  if (!is_id) return by_folder;
  ModelName result = parse_model_id(name_or_path, total);
  if (result.name.empty()) result.name = by_folder.name;
  for (auto member : {&ModelName::organization, &ModelName::basename, &ModelName::finetune,
                      &ModelName::version, &ModelName::size_label})
    if (!(result.*member)) result.*member = by_folder.*member;
  return result;
}

std::string size_label(const ParameterCount& count) {
  if (count.experts > 0)
    return std::to_string(count.experts) + "x" + rounded(count.shared + count.per_expert);
  return rounded(count.total);
}

}  // namespace coterie::convert
