// Calibration: a model reads a text, and what its weights meet becomes an importance matrix.
//
// The text comes in windows, each a context of its own. Two readings (collector.h): the whole text, then the windows
// that starved experts need. The state is saved beside the output every so often; the same call continues there and
// ends in the same bytes. All arithmetic is that of prompts, but for the absorbed form of latent attention.
#pragma once

#include "gguf/reader.h"
#include "models/model.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace coterie::quantize {

struct CalibrateOptions {
  std::string output;              // the importance matrix; the state is OUTPUT.state
  std::string dataset;             // the text's name, noted in the file
  std::int64_t window = 512;       // tokens of the longest window
  std::int64_t min_tokens = 32;    // for every expert, as far as the text goes
  std::int64_t step_tokens = 512;  // at most, computed at once; changes no bit
  int threads = 1;
  bool restart = false;       // forget a state that is there
  double save_seconds = 300;  // between two savings of the state
  std::function<void(std::int64_t done, std::int64_t total)> progress = nullptr;  // windows of both readings
  std::function<bool()> cancelled = nullptr;                                      // asked between windows
};

// How a layer's experts were reached.
struct Coverage {
  std::string stack;  // the name of the gate's tensor
  std::int64_t experts = 0;
  std::int64_t min = 0, median = 0, max = 0;  // tokens that the router sent
  std::int64_t unreached = 0;                 // experts to which it sent none
  std::int64_t forced_experts = 0, forced_tokens = 0;
};

struct CalibrateResult {
  std::int64_t windows = 0, tokens = 0;
  std::int64_t resumed_at = 0;      // windows of both readings that an earlier call had done
  double perplexity = 0;            // of every token but a window's first
  std::int64_t entries = 0;         // tensors in the file
  std::vector<std::string> unseen;  // matrices that no token met: they have no entry
  std::vector<Coverage> layers;
};

// windows: tokens of each, at most options.window. Throws UsageError where a state belongs to another call, ModelError
// where activations are not finite, Error (exit code 130) once cancelled, with the state saved.
CalibrateResult calibrate(const gguf::Reader& file, const Model& model,
                          const std::vector<std::vector<Token>>& windows, const CalibrateOptions& options);

}  // namespace coterie::quantize
