#include "convert/convert.h"

#include "base/errors.h"
#include "base/output_file.h"
#include "gguf/writer.h"
#include "kernels/kernels.h"

#include <omp.h>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <vector>

namespace coterie::convert {

namespace {

constexpr std::int64_t chunk_bytes = 8 << 20;

// One file being written.
class Output {
 public:
  Output(const std::string& path, const FilePlan& plan, int threads)
      : plan_(plan), threads_(threads > 0 ? threads : omp_get_max_threads()), file_(path) {
    write_keys(plan.keys, file_);
    for (const PlannedTensor& t : plan.tensors) file_.add_tensor(t.name, t.shape, *t.format);
    file_.begin_data();
  }

  std::uint64_t bytes() const {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < plan_.tensors.size(); ++i) sum += file_.tensor_bytes(static_cast<int>(i));
    return sum;
  }

  template <class Progress>
  void write(Progress progress) {
    for (std::size_t i = 0; i < plan_.tensors.size(); ++i)
      write_tensor(static_cast<int>(i), plan_.tensors[i], progress);
  }

  void commit() { file_.commit(); }

 private:
  template <class Progress>
  void write_tensor(int index, const PlannedTensor& t, Progress progress) {
    const std::int64_t row_bytes = t.format->row_bytes(t.shape[0]), rows = t.rows();
    const std::int64_t step = std::max<std::int64_t>(1, chunk_bytes / row_bytes);
    for (std::int64_t first = 0; first < rows; first += step) {
      const std::int64_t n = std::min(step, rows - first);
      chunk_.resize(static_cast<std::size_t>(n * row_bytes));
      encode_rows(t, first, n);
      file_.write(index, static_cast<std::uint64_t>(first * row_bytes), chunk_);
      progress(chunk_.size());
    }
  }

  // Nothing throws among the threads: shapes and types have been checked, buffers are there.
  void encode_rows(const PlannedTensor& t, std::int64_t first, std::int64_t n) {
    const std::int64_t columns = t.shape[0], row_bytes = t.format->row_bytes(columns);
    const int threads = n * columns > 1 << 18 ? threads_ : 1;  // a team costs more than a small tensor
    row_of_thread_.resize(static_cast<std::size_t>(threads));
    for (std::vector<float>& row : row_of_thread_) row.resize(static_cast<std::size_t>(columns));
#pragma omp parallel for schedule(dynamic, 16) num_threads(threads)
    for (std::int64_t i = 0; i < n; ++i) {
      float* row = row_of_thread_[static_cast<std::size_t>(omp_get_thread_num())].data();
      t.source.row(first + i, row);
      kernels().encode[t.format->index](row, nullptr, columns, chunk_.data() + i * row_bytes);
    }
  }

  const FilePlan& plan_;
  const int threads_;
  gguf::Writer file_;
  std::vector<std::byte> chunk_;
  std::vector<std::vector<float>> row_of_thread_;
};

}  // namespace

std::string mtp_path(const std::string& path) {
  const std::string end = ".gguf";
  return path.ends_with(end) ? path.substr(0, path.size() - end.size()) + ".mtp" + end : path + ".mtp" + end;
}

bool convert(const ConvertOptions& options) {
  const bool with_mtp = options.mtp == Mtp::separate;
  check_target(options.to);
  if (with_mtp) check_target(mtp_path(options.to));
  const SafeTensors checkpoint(options.from);
  const Plan plan = make_plan(options.from, checkpoint, *options.type);
  if (options.note)
    for (const std::string& line : plan.notes) options.note(line);

  std::vector<std::unique_ptr<Output>> files;
  if (plan.mtp && with_mtp)
    files.push_back(std::make_unique<Output>(mtp_path(options.to), *plan.mtp, options.threads));
  files.push_back(std::make_unique<Output>(options.to, plan.model, options.threads));

  std::uint64_t done = 0, total = 0;
  for (const auto& file : files) total += file->bytes();
  for (const auto& file : files)
    file->write([&](std::uint64_t bytes) {
      checkpoint.check_io();
      done += bytes;
      if (options.progress) options.progress(done, total);
    });
  for (const auto& file : files) file->commit();
  return files.size() > 1;
}

void write_file(const std::string& path, const FilePlan& plan) {
  Output file(path, plan, 0);
  file.write([](std::uint64_t) {});
  file.commit();
}

}  // namespace coterie::convert
