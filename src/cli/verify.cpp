// coterie verify [--model] PATH: is the container sound, and every block finite and legal? With --model also:
// can a model, its tokenizer and its chat template be built from it? A fault is one line on stderr and exit
// code 3.
#include "gguf/verify.h"
#include "base/errors.h"
#include "cli/command.h"
#include "cli/files.h"
#include "cli/source.h"
#include "cli/terminal.h"
#include "convert/plan.h"
#include "convert/safetensors.h"
#include "engine/prompt.h"
#include "gguf/reader.h"
#include "text/tokenizer.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

namespace coterie::cli {

namespace {

struct Checked {
  std::size_t tensors = 0;
  std::uint64_t bytes = 0;
};

void check_template(const std::string& subject, const std::string& source) {
  if (source.empty()) return;
  try {
    text::ChatTemplate{source};
  } catch (const text::TemplateError& e) {
    throw ModelError(subject + ": " + e.what());
  }
}

Checked verify_gguf(const std::string& path, bool model) {
  const gguf::Reader file(path);
  {
    Progress progress;
    gguf::verify_blocks(file, [&](std::uint64_t done, std::uint64_t total) {
      progress.show(total == 0 ? 1 : static_cast<double>(done) / static_cast<double>(total),
                    "checking blocks");
    });
  }
  if (model) {
    const Engine engine(path, {});
    check_template(path, engine.chat_template());
  }
  return {file.tensors().size(), file.file_bytes()};
}

// Pieces of float tensors, so that threads share large ones.
struct Piece {
  const convert::SafeTensor* tensor;
  std::int64_t first, n;
};

std::vector<Piece> pieces_of(const convert::SafeTensors& files) {
  constexpr std::int64_t most = 1 << 18;
  std::vector<Piece> pieces;
  for (const convert::SafeTensor& t : files.tensors())
    for (std::int64_t first = 0; convert::is_float(t.dtype) && first < t.elements(); first += most)
      pieces.push_back({&t, first, std::min(most, t.elements() - first)});
  return pieces;
}

// The position in the piece of the first value that is no finite number, or -1.
std::int64_t first_broken(const Piece& piece, std::vector<float>* scratch) {
  scratch->resize(static_cast<std::size_t>(piece.n));
  convert::to_float(*piece.tensor, piece.first, piece.n, scratch->data());
  const auto broken = std::ranges::find_if(*scratch, [](float x) { return !std::isfinite(x); });
  return broken == scratch->end() ? -1 : broken - scratch->begin();
}

void check_values(const convert::SafeTensors& files) {
  const std::vector<Piece> pieces = pieces_of(files);
  const std::int64_t n = static_cast<std::int64_t>(pieces.size());
  std::atomic<std::int64_t> worst{n}, done{0};
  Progress progress;
#pragma omp parallel
  {
    std::vector<float> scratch;
#pragma omp for schedule(dynamic)
    for (std::int64_t i = 0; i < n; ++i) {
      if (first_broken(pieces[static_cast<std::size_t>(i)], &scratch) >= 0)
        for (std::int64_t seen = worst; i < seen && !worst.compare_exchange_weak(seen, i);) continue;
#pragma omp critical
      progress.show(static_cast<double>(++done) / static_cast<double>(n), "checking values");
    }
  }
  files.check_io();
  if (worst == n) return;
  std::vector<float> scratch;
  const Piece& piece = pieces[static_cast<std::size_t>(worst)];
  const std::int64_t at = piece.first + first_broken(piece, &scratch);
  throw FileError(files.path() + ": tensor " + piece.tensor->name + ": element " + std::to_string(at) +
                  ": found no finite number");
}

Checked verify_safetensors(const std::string& path, bool model) {
  const convert::SafeTensors files(path);
  check_values(files);
  if (model) {
    if (!is_folder(path))
      throw ModelError(
          path + ": one .safetensors file is no model: expected a folder with config.json and a tokenizer");
    convert::make_plan(path, files, convert::one_type(*find_format("BF16")));
    const text::Tokenizer tokenizer(vocabulary_of(path));
    check_template(path, chat_template_of(path));
  }
  Checked checked{files.tensors().size(), 0};
  for (const convert::SafeTensor& t : files.tensors()) checked.bytes += t.bytes.size();
  return checked;
}

int verify(Args& args) {
  const std::string path = args.positional("PATH", "a GGUF file, a .safetensors file or a folder of them");
  const bool model = args.flag("--model", "also build model, tokenizer and chat template");
  const bool json = args.flag("--json", "print one JSON object");
  args.finish();

  const auto start = std::chrono::steady_clock::now();
  const bool safetensors = is_folder(path) || path.ends_with(".safetensors");
  const Checked checked = (safetensors ? verify_safetensors : verify_gguf)(path, model);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

  if (json) {
    const nlohmann::ordered_json out{{"path", path},           {"sound", true},
                                     {"model", model},         {"tensors", checked.tensors},
                                     {"bytes", checked.bytes}, {"seconds", seconds}};
    std::printf("%s\n", out.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
  } else {
    std::printf("%s: sound%s, %zu tensors, %s in %.2f s (%.2f GB/s)\n", printable(path).c_str(),
                model ? ", a model" : "", checked.tensors, human_bytes(checked.bytes).c_str(), seconds,
                static_cast<double>(checked.bytes) / 1e9 / seconds);
  }
  return 0;
}

}  // namespace

const Command verify_command{"verify",
                             "check a model file: container, every block, optionally the whole model", verify,
                             "coterie verify model.gguf\ncoterie verify --model DeepSeek-R1/"};

}  // namespace coterie::cli
