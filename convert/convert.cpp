#include "convert/convert.h"

#include "base/errors.h"
#include "base/output_file.h"
#include "gguf/journal.h"
#include "quantize/encode.h"

#include <filesystem>
#include <variant>

namespace coterie::convert {

namespace fs = std::filesystem;

namespace {

void write_key(gguf::Writer& file, const std::string& key, const KeyValue& value) {
  struct Visitor {
    gguf::Writer& file;
    const std::string& key;
    void operator()(const std::string& v) const { file.add_text(key, v); }
    void operator()(const std::vector<std::string>& v) const { file.add_texts(key, v); }
    void operator()(const std::vector<std::int32_t>& v) const { file.add_array<std::int32_t>(key, v); }
    void operator()(std::uint32_t v) const { file.add<std::uint32_t>(key, v); }
    void operator()(std::int32_t v) const { file.add<std::int32_t>(key, v); }
    void operator()(float v) const { file.add<float>(key, v); }
    void operator()(bool v) const { file.add<bool>(key, v); }
  };
  std::visit(Visitor{file, key}, value);
}

void declare(gguf::Writer& file, const FilePlan& plan) {
  for (const auto& [key, value] : plan.keys) write_key(file, key, value);
  for (const PlannedTensor& t : plan.tensors) file.add_tensor(t.name, t.shape, *t.format);
}

quantize::RowSource rows_of(const PlannedTensor& t) {
  return {.name = t.name,
          .format = t.format,
          .columns = t.shape[0],
          .rows = t.rows(),
          .rows_per_matrix = t.shape.size() > 1 ? t.shape[1] : 1,
          .make = [&t](std::int64_t row, float* out) { t.source.row(row, out); },
          .copy = {}};
}

// What is not done yet of one file.
void write_data(gguf::Writer& file, const FilePlan& plan, const quantize::Encoder& encoder) {
  for (std::size_t i = 0; i < plan.tensors.size(); ++i)
    encoder.write(file, static_cast<int>(i), rows_of(plan.tensors[i]));
}

}  // namespace

std::string mtp_path(const std::string& path) {
  const std::string end = ".gguf";
  return path.ends_with(end) ? path.substr(0, path.size() - end.size()) + ".mtp" + end : path + ".mtp" + end;
}

std::string journal_path(const std::string& path) { return path + ".journal"; }

Conversion::Conversion(const ConvertOptions& options) : options_(options), checkpoint_(options.from) {
  plan_ = make_plan(options_.from, checkpoint_, options_.types, options_.mtp);
  if (plan_.mtp) add_file(mtp_path(options_.to), *plan_.mtp);
  add_file(options_.to, plan_.model);
  note_missing_importance();
}

// One or two bits per weight: without knowing which weights matter, little is left.
void Conversion::note_missing_importance() {
  std::size_t n = 0;
  for (const File& file : files_)
    for (const PlannedTensor& t : file.plan->tensors) {
      const std::string_view format = t.format->name;
      const bool known = options_.importance != nullptr && options_.importance->has(t.name);
      n += !known && (format.starts_with("IQ1") || format.starts_with("IQ2")) ? 1 : 0;
    }
  if (n > 0)
    plan_.notes.push_back(std::to_string(n) +
                          " tensors of one or two bits have no importance matrix, expect poor answers");
}

void Conversion::add_file(const std::string& path, const FilePlan& plan) {
  auto writer = std::make_unique<gguf::Writer>(path, options_.split_bytes);
  declare(*writer, plan);
  writer->lay_out();
  for (const std::string& part : writer->paths()) check_target(part);
  files_.push_back({&plan, std::move(writer)});
}

// The metadata of the files, which a journal compares too, say the rest: keys, tensors, types, places.
gguf::Work Conversion::work() const {
  static constexpr const char* mtp_names[] = {"separate", "inline", "none"};
  gguf::Work work;
  work.options = {{"encoders of version", std::to_string(quantize::encoder_version)},
                  {"--mtp", mtp_names[static_cast<int>(options_.mtp)]}};
  work.options.insert(work.options.end(), options_.types.facts.begin(), options_.types.facts.end());
  if (options_.split_bytes > 0) work.options.emplace_back("--split", std::to_string(options_.split_bytes));
  if (options_.importance != nullptr)
    work.options.emplace_back("--imatrix", gguf::describe_source(options_.importance->path()).second);
  for (const char* name :
       {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"})
    if (const fs::path path = fs::path(options_.from) / name; fs::exists(path))
      work.source.push_back(gguf::describe_source(path.string()));
  for (const std::string& path : checkpoint_.files()) work.source.push_back(gguf::describe_source(path));
  return work;
}

void Conversion::run() {
  std::vector<gguf::Writer*> writers;
  for (const File& file : files_) writers.push_back(file.writer.get());
  gguf::Journal journal(journal_path(options_.to), work(), writers, options_.journal);

  std::uint64_t total = 0, done = journal.resumed_bytes();
  for (const gguf::Writer* writer : writers) total += writer->data_bytes();
  quantize::Encoder encoder;
  encoder.threads = options_.threads;
  encoder.importance = options_.importance;
  encoder.check_source = [&] { checkpoint_.check_io(); };
  encoder.release_source = [&] { checkpoint_.release(); };
  encoder.wrote = [&](std::uint64_t bytes) {
    done += bytes;
    if (options_.progress) options_.progress(done, total);
  };
  journal.run([&] {
    for (const File& file : files_) write_data(*file.writer, *file.plan, encoder);
  });
}

void convert(const ConvertOptions& options) { Conversion(options).run(); }

void write_file(const std::string& path, const FilePlan& plan) {
  gguf::Writer file(path);
  declare(file, plan);
  file.begin_data();
  write_data(file, plan, quantize::Encoder());
  file.commit();
}

}  // namespace coterie::convert
