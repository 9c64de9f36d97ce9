// coterie convert HF_DIR OUT.gguf [--type TYPE] [--mtp separate|inline|none] [--split SIZE] [--dry-run] ...
#include "convert/convert.h"

#include "base/errors.h"
#include "cli/command.h"
#include "cli/files.h"
#include "cli/fit.h"
#include "cli/terminal.h"
#include "cli/writing_args.h"
#include "quantize/recipe.h"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <filesystem>
#include <optional>

namespace coterie::cli {

namespace {

convert::Mtp find_mtp(const std::string& name) {
  if (name == "inline") return convert::Mtp::inline_;
  return name == "none" ? convert::Mtp::none : convert::Mtp::separate;
}

std::string text_of(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (const std::int64_t n : shape) text += (text.empty() ? "" : " x ") + std::to_string(n);
  return text;
}

void print_table(const convert::Conversion& conversion) {
  for (const convert::Conversion::File& file : conversion.files()) {
    std::int64_t weights = 0;
    for (const convert::PlannedTensor& t : file.plan->tensors) {
      std::printf("%-40s %-24s %-7s %14llu\n", printable(t.name).c_str(), text_of(t.shape).c_str(),
                  t.format->name, static_cast<unsigned long long>(t.bytes()));
      weights += t.shape[0] * t.rows();
    }
    print_sizes(*file.writer, weights);
  }
}

void print_json(const convert::Conversion& conversion) {
  nlohmann::ordered_json out;
  std::uint64_t total = 0;
  for (const convert::Conversion::File& file : conversion.files()) {
    nlohmann::ordered_json tensors = nlohmann::ordered_json::array();
    for (const convert::PlannedTensor& t : file.plan->tensors)
      tensors.push_back(
          {{"name", t.name}, {"type", t.format->name}, {"shape", t.shape}, {"bytes", t.bytes()}});
    out["files"].push_back(
        {{"paths", file.writer->paths()}, {"bytes", file.writer->file_bytes()}, {"tensors", tensors}});
    total += file.writer->file_bytes();
  }
  out["bytes"] = total;
  std::printf("%s\n", out.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
}

struct Wanted {
  std::string from, to, type, mtp;
  std::optional<std::string> imatrix, recipe;
  FitArgs fit;
  WritingArgs writing;
};

Wanted parse(Args& args) {
  Wanted w;
  w.from = args.positional("HF_DIR", "folder with config.json, tokenizer.json and .safetensors files");
  w.to = args.positional("OUT", "the GGUF file to write");
  w.type = args.option("--type TYPE", "BF16",
                       "one type (Q8_0) or a mix (Q4_K_M); a name that is both means the mix");
  w.recipe =
      args.maybe("--recipe FILE", "lines 'tensor pattern = type'; the first that matches wins over --type");
  w.fit = fit_args(args);
  w.imatrix = args.maybe("--imatrix FILE", "importance matrix: which weights matter");
  w.mtp = args.choice("--mtp WHERE", {"separate", "inline", "none"},
                      "multi-token-prediction layers: to OUT.mtp.gguf, to the same file, or nowhere");
  w.writing = writing_args(args);
  args.finish();
  return w;
}

convert::TypeChoice find_types(const Wanted& w, const std::optional<quantize::Recipe>& recipe) {
  quantize::Wish wish;
  wish.type = quantize::find_type(w.type, false);
  wish.importance = w.imatrix.has_value();
  gguf::Facts facts{{"--type", w.type}};
  if (recipe) {
    wish.recipe = &*recipe;
    facts.emplace_back("--recipe", quantize::text_of(*recipe));
  }
  return convert::types_of(wish, facts);
}

std::uint64_t weight_bytes(const std::string& folder) {
  std::uint64_t bytes = 0;
  std::error_code ignored;  // the conversion complains
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored))
    if (entry.path().extension() == ".safetensors") bytes += entry.file_size(ignored);
  return bytes;
}

void run(convert::Conversion& conversion) {
  conversion.run();
  for (const convert::Conversion::File& file : conversion.files())
    for (const std::string& path : file.writer->paths()) report_written(path);
}

int convert_folder(Args& args) {
  const Wanted w = parse(args);
  convert::ConvertOptions options;
  options.from = w.from;
  options.to = w.to;
  options.mtp = find_mtp(w.mtp);
  options.threads = w.writing.threads;
  options.split_bytes = split_bytes(w.writing);
  std::optional<quantize::ImportanceMatrix> importance;
  if (w.imatrix) options.importance = &importance.emplace(*w.imatrix);
  std::optional<quantize::Recipe> recipe;
  if (w.recipe) recipe = quantize::read_recipe(*w.recipe);
  options.types = find_types(w, recipe);
  if (w.fit.wanted()) {
    if (w.recipe) throw UsageError("convert: --fit chooses every type, expected no --recipe beside it");
    recipe = fit_recipe(convert::Conversion(options),
                        {weight_bytes(w.from), options.importance, w.writing.threads}, w.fit);
    options.types = find_types(w, recipe);
  }

  const Interrupt interrupt;
  Progress progress, verifying;
  options.progress = interruptible(progress, "converting", "interrupted");
  options.journal = journal_options(w.writing, verifying);
  convert::Conversion conversion(options);
  for (const std::string& line : conversion.notes())
    std::fprintf(stderr, "warning: %s\n", printable(line).c_str());
  if (!w.writing.dry_run)
    run(conversion);
  else
    (w.writing.json ? print_json : print_table)(conversion);
  return 0;
}

}  // namespace

const Command convert_command{
    "convert", "make a GGUF file of a Hugging Face folder (safetensors)", convert_folder,
    "coterie convert DeepSeek-R1 r1.gguf --type Q8_0\n"
    "coterie convert DeepSeek-R1 r1.gguf --type IQ2_XS --imatrix r1.imatrix.gguf --split 48G\n"
    "coterie convert DeepSeek-R1 r1.gguf --fit 192GB --imatrix r1.imatrix.gguf --explain\n"
    "coterie convert DeepSeek-R1 r1.gguf --type Q4_K --dry-run\n"
    "coterie convert DeepSeek-V2-Lite v2-lite.gguf --mtp none"};

}  // namespace coterie::cli
