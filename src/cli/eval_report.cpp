#include "cli/eval_report.h"

#include "cli/files.h"
#include "cli/terminal.h"
#include "gguf/reader.h"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <filesystem>
#include <map>

namespace coterie::cli {

namespace {

using Json = nlohmann::ordered_json;

template <class... Values>
std::string print(const char* format, Values... values) {
  char text[256];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

std::string line(const char* title, const std::string& model, const std::string& original) {
  return print("| %s | ", title) + model + " | " + original + " |\n";
}

std::string size_of(const Json& file) {
  const auto bytes = file["bytes"].get<std::uint64_t>();
  return human_bytes(bytes) + print(" (%.2f GB)", static_cast<double>(bytes) / 1e9);
}

std::string types_of(const Json& file) {
  std::string text;
  for (const auto& [name, share] : file["types"].items())
    text += (text.empty() ? "" : ", ") + name + print(" %.1f %%", 100 * share.get<double>());
  return text;
}

std::string score_of(const Json& scores) {
  return print("%.1f %% of %d", 100 * scores["overall"].get<double>(), scores["problems"].get<int>());
}

}  // namespace

Json describe_file(const std::string& path) {
  const gguf::Reader file(path);
  std::uint64_t bytes = 0;
  double weights = 0;
  std::map<std::string, double> by_type;
  for (const gguf::TensorInfo& t : file.tensors()) {
    bytes += t.bytes;
    weights += static_cast<double>(t.elements());
    by_type[t.format->name] += static_cast<double>(t.elements());
  }
  Json json{{"file", std::filesystem::path(path).filename().string()},
            {"bytes", file.file_bytes()},
            {"weights", weights},
            {"bits_per_weight", weights > 0 ? 8 * static_cast<double>(bytes) / weights : 0}};
  json["types"] = Json::object();
  for (const auto& [name, n] : by_type) json["types"][name] = n / weights;
  return json;
}

std::string report_page(const Json& report) {
  const Json &model = report["model"], &original = report["original"], &text = report["text"];
  const auto number = [&](const Json& from, const char* key, const char* format) {
    return print(format, from[key].get<double>());
  };
  std::string page = "# " + printable(model["file"].get<std::string>()) + "\n\nagainst " +
                     printable(original["file"].get<std::string>()) + ", on " +
                     print("%lld", static_cast<long long>(text["tokens"].get<std::int64_t>())) +
                     " tokens of text.\n\n| | this file | original |\n| --- | --: | --: |\n";
  page += line("size", size_of(model), size_of(original));
  page += line("bits per weight", number(model, "bits_per_weight", "%.3f"),
               number(original, "bits_per_weight", "%.3f"));
  page += line("weights by type", types_of(model), types_of(original));
  page +=
      line("perplexity", number(text, "perplexity", "%.4f"), number(text, "reference_perplexity", "%.4f"));
  if (report.contains("problems"))
    page +=
        line("exact match", score_of(report["problems"]["model"]), score_of(report["problems"]["original"]));
  page += "\n| distance | |\n| --- | --: |\n";
  page += "| KL divergence, mean | " + number(text, "kl_mean", "%.6f") + " |\n";
  page += "| KL divergence, 99th percentile | " + number(text, "kl_p99", "%.6f") + " |\n";
  page += "| KL divergence, largest | " + number(text, "kl_max", "%.6f") + " |\n";
  page += "| same best token | " + print("%.2f %%", 100 * text["top1_agreement"].get<double>()) + " |\n";
  return page;
}

std::string json_beside(const std::string& page) {
  return std::filesystem::path(page).replace_extension(".json").string();
}

}  // namespace coterie::cli
